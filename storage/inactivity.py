"""Objects that count as offline because nothing came from them, and as online again when something does.

The law: looking for them costs a pass over the presence of objects now and then, and their messages nothing more.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlmodel import Session, col, insert, or_, select, update

from storage import events
from storage.catalogue import chunks
from storage.known import LAST_SEEN_RESOLUTION_MICROS
from storage.tables import ConnectedObject, DeviceAddress, ObjectEvent, ObjectPresence
from storage.types import MICROSECOND, from_micros

AT_A_TIME = 1_000
RESOLUTION = LAST_SEEN_RESOLUTION_MICROS * MICROSECOND
"""How far `last_seen_at` may be behind the last message."""


class Quiet(NamedTuple):
    """An object that was not heard for a while."""

    object_id: int
    last_seen_at: datetime
    kind: str
    source: str | None


def quiet(session: Session, *, since: datetime) -> Iterator[Sequence[Quiet]]:
    """Objects that are not terminated, not offline already, and were not heard after `since`, in portions."""
    after = 0
    while True:
        query = (
            select(ObjectPresence.object_id, ObjectPresence.last_seen_at, ConnectedObject.kind, DeviceAddress.source)
            .join(ConnectedObject, col(ConnectedObject.id) == ObjectPresence.object_id)
            .outerjoin(DeviceAddress, col(DeviceAddress.object_id) == ObjectPresence.object_id)
            .where(
                ObjectPresence.object_id > after,
                ObjectPresence.last_seen_at <= since - RESOLUTION,
                or_(col(ObjectPresence.online).is_(None), col(ObjectPresence.online).is_(True)),
                ConnectedObject.status != "terminated",
            )
            .order_by(col(ObjectPresence.object_id))
            .limit(AT_A_TIME)
        )
        found = [Quiet(*row) for row in session.exec(query)]
        if not found:
            return
        yield found
        after = found[-1].object_id


def mark(session: Session, silent: Sequence[tuple[Quiet, timedelta]], now: datetime) -> int:
    """Note objects as offline since so long after they were last heard; how many were not heard meanwhile."""
    added: list[dict[str, Any]] = []
    for it, after in silent:
        at = it.last_seen_at + after
        changed = session.connection().execute(
            update(ObjectPresence)
            .where(
                col(ObjectPresence.object_id) == it.object_id,
                col(ObjectPresence.last_seen_at) == it.last_seen_at,
                col(ObjectPresence.silent_since).is_(None),
            )
            .values(online=False, online_since=at, silent_since=at)
        )
        if changed.rowcount:
            seconds = int(after.total_seconds())
            added.append(_event(it.object_id, "offline", at, now, {"reason": "inactivity", "after_seconds": seconds}))
    _write(session, added, now)
    return len(added)


def heard_again(session: Session, heard: Mapping[int, int], told: Collection[int], now: datetime) -> int:
    """Note as online what counted as offline for its silence and was heard (microseconds); how many.

    Those in `told` said themselves how they are.
    """
    added: list[dict[str, Any]] = []
    for part in chunks(heard):
        query = select(ObjectPresence).where(
            col(ObjectPresence.object_id).in_(part), col(ObjectPresence.silent_since).is_not(None)
        )
        for presence in session.exec(query.execution_options(populate_existing=True)):
            at = from_micros(heard[presence.object_id])
            if presence.silent_since is None or at < presence.silent_since:
                continue
            presence.silent_since = None
            if presence.object_id not in told:
                presence.online, presence.online_since = True, at
                added.append(_event(presence.object_id, "online", at, now, {"reason": "activity"}))
            session.add(presence)
    session.flush()
    _write(session, added, now)
    return len(added)


def _event(object_id: int, kind: str, at: datetime, now: datetime, detail: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "object_id": object_id,
        "kind": kind,
        "occurred_at": at,
        "recorded_at": now,
        "key": str(detail["reason"]),
        "origin": "engine",
        "detail": dict(detail),
    }


def _write(session: Session, added: Sequence[Mapping[str, Any]], now: datetime) -> None:
    if added:
        session.exec(insert(ObjectEvent), params=added)
        events.revalue(session, added, now)
