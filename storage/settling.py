"""Reports of presence where short changes are no events: each is decided when nothing can come between any more.

The law: what is decided follows from the times of the reports, not from the order in which they came. A report that
comes after its time was decided adds the event that brings the timeline to the state it says.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, func, select, update

from storage import events
from storage.bulk import write_many
from storage.presence import ONLINE, Reported, settle_states
from storage.tables import ObjectEvent, PresenceReport
from storage.types import canonical_json, to_micros

OBJECTS_AT_A_TIME = 500


def keep(session: Session, reports: Sequence[Reported], *, now: datetime, origin: str) -> None:
    """Keep reports until they are decided; the same one again is kept once."""
    write_many(
        session.connection(),
        "INSERT INTO presence_report (object_id, occurred_at, kind, key, origin, detail, recorded_at, waits_until) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (object_id, occurred_at, kind, key) DO NOTHING",
        [
            (
                *(it.object_id, to_micros(it.occurred_at), it.kind, it.key, origin, canonical_json(dict(it.detail))),
                *(to_micros(now), to_micros(max(it.occurred_at, now) + it.debounce)),
            )
            for it in reports
        ],
    )


def any_due(session: Session, now: datetime) -> bool:
    """Whether any report is to be decided."""
    query = select(PresenceReport.id).where(col(PresenceReport.waits_until) <= now).limit(1)
    return session.exec(query).first() is not None


def settle(session: Session, now: datetime) -> int:
    """Decide the reports whose time has come, for a portion of the objects; how many events that makes."""
    due = select(PresenceReport.object_id).where(col(PresenceReport.waits_until) <= now).distinct()
    ids = list(session.exec(due.order_by(col(PresenceReport.object_id)).limit(OBJECTS_AT_A_TIME)))
    added = [event for object_id in ids for event in _of_object(session, object_id, now)]
    if added:
        settle_states(session, {event["object_id"] for event in added})
        events.revalue(session, added, now)
    return len(added)


def _of_object(session: Session, object_id: int, now: datetime) -> list[Mapping[str, Any]]:
    first = session.exec(
        select(func.min(PresenceReport.occurred_at)).where(
            PresenceReport.object_id == object_id, col(PresenceReport.waits_until) <= now
        )
    ).one()
    query = select(PresenceReport).where(PresenceReport.object_id == object_id, PresenceReport.occurred_at >= first)
    reports = session.exec(query.order_by(col(PresenceReport.occurred_at), col(PresenceReport.id))).all()
    added: list[Mapping[str, Any]] = []
    decided: list[int] = []
    for place, report in enumerate(reports):
        if report.waits_until is None or report.waits_until > now:
            continue
        decided.append(report.id or 0)
        if not _held(report, reports[place + 1 :]) or _state_at(session, report) == ONLINE[report.kind]:
            continue
        session.add(
            ObjectEvent(
                object_id=object_id,
                kind=report.kind,
                occurred_at=report.occurred_at,
                recorded_at=now,
                key=report.key,
                origin=report.origin,
                detail=report.detail,
            )
        )
        session.flush()
        added.append({"object_id": object_id, "kind": report.kind, "occurred_at": report.occurred_at})
    session.exec(update(PresenceReport).where(col(PresenceReport.id).in_(decided)).values(waits_until=None))
    return added


def _held(report: PresenceReport, later: Collection[PresenceReport]) -> bool:
    """Whether what the report says held for long enough before another one said the opposite."""
    assert report.waits_until is not None  # noqa: S101 - it is due
    length: timedelta = report.waits_until - max(report.occurred_at, report.recorded_at)
    ends = (it.occurred_at for it in later if ONLINE[it.kind] != ONLINE[report.kind])
    return all(at - report.occurred_at >= length for at in ends)


def _state_at(session: Session, report: PresenceReport) -> bool | None:
    """What the timeline says of the connection by the time of a report."""
    query = select(ObjectEvent.kind).where(
        ObjectEvent.object_id == report.object_id,
        ObjectEvent.occurred_at <= report.occurred_at,
        col(ObjectEvent.kind).in_(list(ONLINE)),
    )
    last = session.exec(query.order_by(col(ObjectEvent.occurred_at).desc(), col(ObjectEvent.id).desc())).first()
    return None if last is None else ONLINE[last]
