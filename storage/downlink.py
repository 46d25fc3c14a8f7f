"""Commands to objects: written with what carries them, found by what answers them, settled once."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, insert, or_, select, update

from storage.bulk import write_many
from storage.catalogue import chunks
from storage.outbox import HEX
from storage.tables import DeviceAddress, DeviceCommand, ObjectEvent, Outbox
from storage.types import canonical_json, to_micros

REQUEST_ID_LIMIT = 128
"""Characters of a request id."""


def add(session: Session, rows: Sequence[Mapping[str, Any]]) -> dict[tuple[int, str], int]:
    """Write new commands, a mapping of columns each; their ids by (object id, request id)."""
    if not rows:
        return {}
    session.exec(insert(DeviceCommand), params=rows)
    wanted = {(row["object_id"], row["request_id"]) for row in rows}
    found: dict[tuple[int, str], int] = {}
    for part in chunks({row["object_id"] for row in rows}):
        query = select(DeviceCommand.object_id, DeviceCommand.request_id, DeviceCommand.id)
        for object_id, request_id, identity in session.exec(query.where(col(DeviceCommand.object_id).in_(part))):
            if (object_id, request_id) in wanted and identity is not None:
                found[object_id, request_id] = identity
    return found


def put(
    session: Session, messages: Sequence[tuple[int, str, Mapping[str, Any] | bytes, datetime]], now: datetime
) -> None:
    """Put commands into the outbox: (id, topic, what is published, expiry) each; never retained."""
    if not messages:
        return
    session.exec(
        insert(Outbox),
        params=[
            {
                "topic": topic,
                "payload": HEX + body.hex() if isinstance(body, bytes) else canonical_json(dict(body)),
                "retain": 0,
                "created_at": now,
                "expires_at": expires_at,
                "status": "waiting",
                "device_command_id": identity,
            }
            for identity, topic, body, expires_at in messages
        ],
    )


def find(session: Session, object_id: int, request_id: str) -> DeviceCommand | None:
    """The command that the object was given under this request id."""
    query = select(DeviceCommand).where(DeviceCommand.object_id == object_id, DeviceCommand.request_id == request_id)
    return session.exec(query).first()


def answered_by(session: Session, object_id: int, ids: Collection[str]) -> DeviceCommand | None:
    """The command of the object that an answer with one of these ids is to, locked until the commit."""
    query = (
        select(DeviceCommand)
        .where(
            DeviceCommand.object_id == object_id,
            or_(col(DeviceCommand.request_id).in_(ids), col(DeviceCommand.wire_id).in_(ids)),
        )
        .order_by(col(DeviceCommand.id))
        .limit(1)
    )
    return session.exec(query.with_for_update()).first()


def oldest_open(session: Session, object_id: int, route: str) -> DeviceCommand | None:
    """The oldest command of the object on that route that waits for its answer, locked until the commit."""
    query = (
        select(DeviceCommand)
        .where(
            DeviceCommand.object_id == object_id,
            DeviceCommand.route == route,
            col(DeviceCommand.waits_until).is_not(None),
        )
        .order_by(col(DeviceCommand.id))
        .limit(1)
    )
    return session.exec(query.with_for_update()).first()


def overdue(session: Session, now: datetime, limit: int) -> Sequence[DeviceCommand]:
    """Commands that nothing became of until they expired, the oldest first, locked until the commit."""
    query = (
        select(DeviceCommand)
        .where(col(DeviceCommand.waits_until) <= now)
        .order_by(col(DeviceCommand.waits_until), col(DeviceCommand.id))
        .limit(limit)
    )
    return session.exec(query.with_for_update()).all()


def any_overdue(session: Session, now: datetime) -> bool:
    """Whether any command is overdue."""
    return (
        session.exec(select(DeviceCommand.id).where(col(DeviceCommand.waits_until) <= now).limit(1)).first() is not None
    )


def with_open(session: Session, object_ids: Collection[int]) -> set[int]:
    """Those of these objects that have a command which waits for its answer."""
    found: set[int] = set()
    for part in chunks(object_ids):
        query = select(DeviceCommand.object_id).where(
            col(DeviceCommand.object_id).in_(part), col(DeviceCommand.waits_until).is_not(None)
        )
        found |= set(session.exec(query))
    return found


def unsent(session: Session, ids: Collection[int]) -> Sequence[DeviceCommand]:
    """Those of these commands of which it is not known yet that they left, locked until the commit."""
    rows: list[DeviceCommand] = []
    for part in chunks(ids):
        query = select(DeviceCommand).where(col(DeviceCommand.id).in_(part), col(DeviceCommand.sent_at).is_(None))
        rows += session.exec(query.order_by(col(DeviceCommand.id)).with_for_update()).all()
    return rows


def set_columns(session: Session, identity: int | None, **values: Any) -> None:
    """Give a command these columns."""
    session.exec(update(DeviceCommand).where(col(DeviceCommand.id) == identity).values(**values))


def of_object(session: Session, object_id: int, limit: int = 100) -> Sequence[DeviceCommand]:
    """The commands of an object, the newest `limit` of them, oldest first."""
    query = select(DeviceCommand).where(DeviceCommand.object_id == object_id)
    return session.exec(query.order_by(col(DeviceCommand.id).desc()).limit(limit)).all()[::-1]


def request_ids(session: Session, object_ids: Collection[int], stem: str) -> dict[int, set[str]]:
    """By object, the request ids of its commands that begin with `stem`."""
    found: dict[int, set[str]] = {}
    for part in chunks(object_ids):
        query = select(DeviceCommand.object_id, DeviceCommand.request_id).where(
            col(DeviceCommand.object_id).in_(part),
            col(DeviceCommand.request_id).startswith(stem, autoescape=True),
        )
        for object_id, request_id in session.exec(query):
            found.setdefault(object_id, set()).add(request_id)
    return found


def waiting_for_purpose(session: Session, object_ids: Collection[int]) -> dict[int, str]:
    """By object, the request id of a command that waits for an answer which is to bring something about."""
    found: dict[int, str] = {}
    for part in chunks(object_ids):
        query = select(DeviceCommand.object_id, DeviceCommand.request_id).where(
            col(DeviceCommand.object_id).in_(part),
            col(DeviceCommand.waits_until).is_not(None),
            col(DeviceCommand.purpose).is_not(None),
        )
        found |= dict(session.exec(query).all())
    return found


def told_late(session: Session, object_id: int, key: str) -> bool:
    """Whether an answer after the expiry of the command with this key is on the timeline."""
    query = select(ObjectEvent.id).where(
        ObjectEvent.object_id == object_id, ObjectEvent.kind == "command_late", ObjectEvent.key == key
    )
    return session.exec(query).first() is not None


def addresses(session: Session, object_ids: Collection[int]) -> dict[int, tuple[str, Mapping[str, str]]]:
    """By object, the source through which it was heard last, and what stood for the wildcards of its topic."""
    found: dict[int, tuple[str, Mapping[str, str]]] = {}
    for part in chunks(object_ids):
        for row in session.exec(select(DeviceAddress).where(col(DeviceAddress.object_id).in_(part))):
            found[row.object_id] = (row.source, row.captures)
    return found


def keep_addresses(
    session: Session, heard: Mapping[int, tuple[str, Mapping[str, str]]], now: datetime, *, only_new: bool
) -> None:
    """Keep through which source objects speak, where that changed, or only where nothing is known yet."""
    known = addresses(session, heard)
    news = {
        object_id: address
        for object_id, address in heard.items()
        if (object_id not in known if only_new else known.get(object_id) != address)
    }
    write_many(
        session.connection(),
        "INSERT INTO device_address (object_id, source, captures, recorded_at) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (object_id) DO UPDATE SET source = excluded.source, captures = excluded.captures, "
        "recorded_at = excluded.recorded_at",
        [
            (object_id, source, canonical_json(dict(captures)), to_micros(now))
            for object_id, (source, captures) in sorted(news.items())
        ],
    )
