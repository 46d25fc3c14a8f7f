"""When objects were last heard and whether they are online, and the events that they report themselves.

The law: an older report never overrides a newer one, and a repeated event is the same event.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import BindParameter, bindparam, text
from sqlmodel import Session, col, select

from storage import events
from storage.bulk import is_sqlite, write_many
from storage.tables import ObjectEvent, ObjectPresence
from storage.types import from_micros

BEGINNING = -(2**62)
"""Before every instant, in microseconds."""
LOOKUP_CHUNK = 500
"""Ids in one IN list: below SQLite's smallest limit on bound values."""


ONLINE: Mapping[str, bool] = MappingProxyType(
    {"online": True, "connected": True, "offline": False, "disconnected": False}
)
"""What an event says of the connection."""
LAST_OF_EACH = """
    SELECT object_id, MAX(CASE WHEN kind IN :on THEN occurred_at END), MAX(CASE WHEN kind IN :off THEN occurred_at END)
    FROM object_event WHERE object_id IN :ids AND kind IN :all GROUP BY object_id
"""
FIRST_AFTER = """
    SELECT MIN(occurred_at) FROM object_event
    WHERE object_id = :object_id AND kind IN :kinds AND occurred_at > :after
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """An event as an object reported it; `online` is what it says of the connection, None when nothing.

    `stated` marks a report without a key of its own: it counts as a state, so its repeat makes no event.
    """

    object_id: int
    kind: str
    occurred_at: datetime
    key: str
    detail: Mapping[str, Any]
    online: bool | None
    stated: bool


def touch(
    session: Session,
    *,
    heard: Mapping[int, int],
    reports: Iterable[Reported],
    now: datetime,
    origin: str,
) -> int:
    """Move `last_seen_at` of the objects in `heard` (microseconds), and write the reported events.

    Returns how many were new. `heard` has every object that reports.
    """
    if not heard:
        return 0
    connection = session.connection()
    greatest = "max" if is_sqlite(connection) else "greatest"
    write_many(
        connection,
        "INSERT INTO object_presence (object_id, last_seen_at) VALUES (?, ?) ON CONFLICT (object_id) DO UPDATE SET "
        f"last_seen_at = {greatest}(object_presence.last_seen_at, excluded.last_seen_at)",
        sorted(heard.items()),
    )
    reports = list(reports)
    presences = _presences(session, {report.object_id for report in reports})
    added: list[Mapping[str, Any]] = []
    for report in reports:
        presence = presences[report.object_id]
        if report.stated and report.online is not None and presence.online == report.online:
            continue
        if _event(session, report, now=now, origin=origin):
            added.append({"object_id": report.object_id, "kind": report.kind, "occurred_at": report.occurred_at})
        newer = presence.online_since is None or presence.online_since <= report.occurred_at
        if report.online is not None and newer and presence.online != report.online:
            presence.online, presence.online_since = report.online, report.occurred_at
    session.flush()
    if added:
        _settle(session, presences, {row["object_id"] for row in added if row["kind"] in ONLINE})
        events.revalue(session, added, now)
    return len(added)


def _settle(session: Session, presences: Mapping[int, ObjectPresence], ids: set[int]) -> None:
    """Whether objects are online and since when, from all their events: the order of arrival does not matter."""
    kinds = {state: [kind for kind, online in ONLINE.items() if online is state] for state in (True, False)}
    expanding: list[BindParameter[Any]] = [bindparam(name, expanding=True) for name in ("on", "off", "all", "ids")]
    first_after = text(FIRST_AFTER).bindparams(bindparam("kinds", expanding=True))
    ordered = sorted(ids)
    for start in range(0, len(ordered), LOOKUP_CHUNK):
        values = {"on": kinds[True], "off": kinds[False], "all": list(ONLINE)}
        chunk = {**values, "ids": ordered[start : start + LOOKUP_CHUNK]}
        for object_id, on, off in session.connection().execute(text(LAST_OF_EACH).bindparams(*expanding), chunk).all():
            online = on is not None and (off is None or on >= off)
            opposite = (off if online else on) or BEGINNING
            bounds = {"object_id": object_id, "kinds": kinds[online], "after": opposite}
            since = session.connection().execute(first_after, bounds).scalar()
            presence = presences[object_id]
            # At one instant both: it is online since then.
            presence.online, presence.online_since = online, from_micros(on if since is None else since)
    session.flush()


def _presences(session: Session, ids: set[int]) -> dict[int, ObjectPresence]:
    ordered = sorted(ids)
    found: dict[int, ObjectPresence] = {}
    for start in range(0, len(ordered), LOOKUP_CHUNK):
        chunk = ordered[start : start + LOOKUP_CHUNK]
        # The bulk write went past the session: read again what it may remember.
        query = select(ObjectPresence).where(col(ObjectPresence.object_id).in_(chunk))
        for presence in session.exec(query.execution_options(populate_existing=True)):
            found[presence.object_id] = presence
    return found


def _event(session: Session, report: Reported, *, now: datetime, origin: str) -> int:
    same = select(ObjectEvent.id).where(
        ObjectEvent.object_id == report.object_id,
        ObjectEvent.occurred_at == report.occurred_at,
        ObjectEvent.kind == report.kind,
        ObjectEvent.key == report.key,
    )
    if session.exec(same).first() is not None:
        return 0
    session.add(
        ObjectEvent(
            object_id=report.object_id,
            kind=report.kind,
            occurred_at=report.occurred_at,
            recorded_at=now,
            key=report.key,
            origin=origin,
            detail=dict(report.detail),
        )
    )
    session.flush()
    return 1
