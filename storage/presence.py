"""When objects were last heard and whether they are online, and the events that they report themselves.

The law: an older report never overrides a newer one, and a repeated event is the same event.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import BindParameter, bindparam, text
from sqlmodel import Session, col, select

from storage import events
from storage.bulk import is_sqlite, write_many
from storage.tables import ObjectEvent, ObjectPresence
from storage.types import from_micros

LOOKUP_CHUNK = 500
"""Ids in one IN list: below SQLite's smallest limit on bound values."""


ONLINE: Mapping[str, bool] = MappingProxyType(
    {"online": True, "connected": True, "offline": False, "disconnected": False}
)
"""What an event says of the connection."""
CONNECTIONS = """
    WITH told AS (
        SELECT object_id, occurred_at, CASE WHEN kind IN :on THEN 1 ELSE 0 END AS online
        FROM object_event WHERE object_id IN :ids AND kind IN :all
    ),
    last AS (
        SELECT object_id, MAX(CASE WHEN online = 1 THEN occurred_at END) AS on_at,
               MAX(CASE WHEN online = 0 THEN occurred_at END) AS off_at
        FROM told GROUP BY object_id
    ),
    state AS (
        SELECT object_id, CASE WHEN off_at IS NULL OR on_at >= off_at THEN 1 ELSE 0 END AS online, on_at, off_at
        FROM last
    )
    SELECT s.object_id, s.online, MIN(t.occurred_at)
    FROM state s JOIN told t ON t.object_id = s.object_id AND t.online = s.online
         AND t.occurred_at >= COALESCE(CASE WHEN s.online = 1 THEN s.off_at ELSE s.on_at END, t.occurred_at)
    GROUP BY s.object_id, s.online
"""
"""What the last event of each object says, and the first one since the last that said the opposite; at one instant
both, it is online."""


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
    debounce: timedelta = timedelta(0)
    """How long what it says of the connection has to hold before it is an event."""


def touch(
    session: Session, *, heard: Mapping[int, int], reports: Iterable[Reported], now: datetime, origin: str
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


def settle_states(session: Session, ids: set[int]) -> None:
    """Whether these objects are online and since when, from all their events."""
    _settle(session, _presences(session, ids), ids)


def _settle(session: Session, presences: Mapping[int, ObjectPresence], ids: set[int]) -> None:
    """Whether objects are online and since when, from all their events: the order of arrival does not matter."""
    expanding: list[BindParameter[Any]] = [bindparam(name, expanding=True) for name in ("on", "all", "ids")]
    statement, ordered = text(CONNECTIONS).bindparams(*expanding), sorted(ids)
    kinds = {"on": [kind for kind, online in ONLINE.items() if online], "all": list(ONLINE)}
    for start in range(0, len(ordered), LOOKUP_CHUNK):
        rows = session.connection().execute(statement, {**kinds, "ids": ordered[start : start + LOOKUP_CHUNK]})
        for object_id, online, since in rows.all():
            presences[object_id].online, presences[object_id].online_since = bool(online), from_micros(since)
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
