"""Refused messages: kept whole with their reason, until they are replayed or discarded."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import func, text
from sqlmodel import Session, col, delete, select

from storage import lost
from storage.tables import ConnectedObject, Quarantine, QuarantineOverflow
from storage.types import canonical_json, to_micros

SIZE = "LENGTH(payload) + COALESCE(LENGTH(properties), 0)"
"""What one message takes of the room."""
TIDIED = 500
"""Messages deleted by one statement."""


def put(
    session: Session,
    *,
    topic: str,
    payload: bytes,
    retained: bool,
    received_at: datetime,
    reason: str,
    detail: str,
    object_reference: str | None,
    source: str | None = None,
    part: str | None = None,
    properties: dict[str, Any] | None = None,
) -> bool:
    """Keep a refused message; False when there is no room for it: then it is counted by day, reason and source.

    A retained copy comes again at every subscription, so one that waits already is not kept twice; two live
    messages are two messages, even when they are equal.
    """
    if retained:
        same = select(Quarantine.id).where(
            Quarantine.status == "waiting",
            Quarantine.reason == reason,
            Quarantine.topic == topic,
            Quarantine.payload == payload,
            col(Quarantine.part).is_(None) if part is None else Quarantine.part == part,
            col(Quarantine.properties).is_(None) if properties is None else Quarantine.properties == properties,
        )
        if session.exec(same).first() is not None:
            return True
    if not _room(session, len(payload) + (0 if properties is None else len(canonical_json(properties)))):
        count_lost(session, reason=reason, source=source or "", at=received_at)
        identity = lost.object_id(session, part or object_reference)
        if identity is not None:
            lost.note_lost(session, identity, source=source or "", at=received_at, now=received_at)
        return False
    session.add(
        Quarantine(
            topic=topic,
            payload=payload,
            retained=int(retained),
            received_at=received_at,
            reason=reason,
            detail=detail,
            object_reference=object_reference,
            source=source,
            part=part,
            properties=properties,
        )
    )
    session.flush()
    return True


def _room(session: Session, size: int) -> bool:
    """Take the room of a message, if there is any."""
    taken = session.connection().execute(
        text(
            "UPDATE quarantine_state SET size_bytes = size_bytes + :size "
            "WHERE id = 1 AND size_bytes + :size <= limit_bytes"
        ),
        {"size": size},
    )
    return taken.rowcount == 1


def count_lost(session: Session, *, reason: str, source: str, at: datetime, messages: int = 1) -> None:
    """Count messages that are not kept, by day, reason and source."""
    row = session.get(QuarantineOverflow, (at.date(), reason, source))
    if row is None:
        row = QuarantineOverflow(day=at.date(), reason=reason, source=source, messages=0, first_at=at, last_at=at)
    row.messages += messages
    row.last_at = max(row.last_at, at)
    session.add(row)
    session.flush()


def overflow(session: Session) -> list[QuarantineOverflow]:
    """What was counted and not kept, newest first."""
    query = select(QuarantineOverflow).order_by(
        col(QuarantineOverflow.day).desc(), col(QuarantineOverflow.reason), col(QuarantineOverflow.source)
    )
    return list(session.exec(query))


def tidy(session: Session, *, resolved_before: datetime, limit_bytes: int) -> int:
    """Delete what was replayed or discarded before an instant, and the oldest of it while there is too much; how many.

    What waits is never deleted. The limit holds for what comes from now on.
    """
    connection = session.connection()
    done = "status <> 'waiting'"
    gone = connection.execute(
        text(f"DELETE FROM quarantine WHERE {done} AND resolved_at < :before"), {"before": to_micros(resolved_before)}
    ).rowcount
    size = int(connection.execute(text(f"SELECT COALESCE(SUM({SIZE}), 0) FROM quarantine")).scalar_one())
    while size > limit_bytes:
        rows = connection.execute(
            text(f"SELECT id, {SIZE} FROM quarantine WHERE {done} ORDER BY resolved_at, id LIMIT {TIDIED}")
        ).all()
        if not rows:
            break
        ids = []
        for identity, length in rows:
            if size <= limit_bytes:
                break
            ids.append(identity)
            size -= length
        session.exec(delete(Quarantine).where(col(Quarantine.id).in_(ids)))
        gone += len(ids)
    connection.execute(
        text("UPDATE quarantine_state SET size_bytes = :size, limit_bytes = :limit WHERE id = 1"),
        {"size": size, "limit": limit_bytes},
    )
    return gone


def kept_since(session: Session, *, reason: str, since: datetime, reference: str | None, topic: str) -> int:
    """How many messages of an object (of a topic, where the object is not known) were kept for a reason."""
    whose = Quarantine.topic == topic if reference is None else Quarantine.object_reference == reference
    query = (
        select(func.count())
        .select_from(Quarantine)
        .where(whose, Quarantine.reason == reason, col(Quarantine.received_at) >= since)
    )
    return session.exec(query).one()


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Refused messages with all of these in common; None is no condition. `until` is exclusive."""

    reason: str | None = None
    object_reference: str | None = None
    source: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    ids: Collection[int] | None = None


ALL = Which()


def listed(
    session: Session,
    *,
    status: str | None = "waiting",
    reason: str | None = None,
    which: Which = ALL,
    after: int = 0,
    limit: int = 100,
) -> list[Quarantine]:
    """Refused messages with an id above `after`, in its order; all statuses when `status` is None."""
    query = select(Quarantine).where(col(Quarantine.id) > after).order_by(col(Quarantine.id)).limit(limit)
    equal = (
        (Quarantine.status, status),
        (Quarantine.reason, reason),
        (Quarantine.reason, which.reason),
        (Quarantine.object_reference, which.object_reference),
        (Quarantine.source, which.source),
    )
    for column, wanted in equal:
        if wanted is not None:
            query = query.where(col(column) == wanted)
    if which.since is not None:
        query = query.where(col(Quarantine.received_at) >= which.since)
    if which.until is not None:
        query = query.where(col(Quarantine.received_at) < which.until)
    if which.ids is not None:
        query = query.where(col(Quarantine.id).in_(which.ids))
    return list(session.exec(query))


def newest_object(session: Session) -> int:
    """The greatest id of a registered object: when it has grown, what waited for one may be known now."""
    return session.exec(select(func.max(ConnectedObject.id))).one() or 0


def waiting_for(session: Session, *, registered_after: int, limit: int) -> list[int]:
    """Ids of messages that waited for an object which is registered now, under an id above `registered_after`."""
    query = (
        select(Quarantine.id)
        .join(ConnectedObject, col(ConnectedObject.reference) == col(Quarantine.object_reference))
        .where(
            col(ConnectedObject.id) > registered_after,
            Quarantine.status == "waiting",
            Quarantine.reason == "unknown_object",
        )
        .order_by(col(Quarantine.id))
        .limit(limit)
    )
    return [identity for identity in session.exec(query) if identity is not None]


def as_text(kept: Mapping[str, Any]) -> str:
    """Properties for a person: JSON in which each name stands before its value, so that secrets in it are found."""
    pairs = [f"{canonical_json(name)}: {canonical_json(value)}" for name, value in kept.get("user_properties", ())]
    said = [
        f"{canonical_json(name)}: {canonical_json(kept[name])}" for name in ("content_type", "fault") if name in kept
    ]
    return f"{{{', '.join([*said, *pairs])}}}"


def explain(session: Session, message: Quarantine, *, reason: str, detail: str) -> None:
    """Say why a waiting message is refused now."""
    message.reason, message.detail = reason, detail
    session.add(message)
    session.flush()


def find(session: Session, identity: int) -> Quarantine | None:
    """The refused message with that id."""
    return session.get(Quarantine, identity)


def counts(session: Session) -> dict[str, int]:
    """How many messages wait, by reason."""
    query = (
        select(Quarantine.reason, func.count())
        .where(Quarantine.status == "waiting")
        .group_by(col(Quarantine.reason))
        .order_by(col(Quarantine.reason))
    )
    return dict(session.exec(query).all())


def resolve(session: Session, message: Quarantine, *, status: Literal["replayed", "discarded"], now: datetime) -> None:
    """Say what became of a waiting message."""
    message.status = status
    message.resolved_at = now
    session.add(message)
    session.flush()
