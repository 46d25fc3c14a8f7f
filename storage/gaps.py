"""Times in which messages may have been lost: of all objects, or of one; found, ended, cleared.

The law: a gap is written with what shows it and never deleted; what clears it is written beside it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import func
from sqlmodel import Session, col, or_, select

from storage.tables import BrokerSession, ConnectedObject, Metric, ReceptionGap

Clearing = Literal["register", "arrived", "accepted"]
DROPS_SAID_WITHIN = timedelta(seconds=15)
"""How old the broker's word on what it dropped may be: Mosquitto gives it each 10 seconds (`sys_interval`)."""


def note_session(
    session: Session, *, client_id: str, broker: str, session_present: bool, caught_up: bool, at: datetime
) -> ReceptionGap | None:
    """Note that the session stands at `at`; the gap that this shows, when the broker had lost the one before.

    `session_present` is what the broker says of the session when it answers a connection; `caught_up`, that all
    that it had for us is stored. What it took after the last time that we had caught up may be gone with a session.
    """
    known = session.get(BrokerSession, (client_id, broker))
    if known is None:
        session.add(BrokerSession(client_id=client_id, broker=broker, established_at=at, held_at=at))
        session.flush()
        return None
    gap: ReceptionGap | None = None
    if not session_present:
        # Where the clock went back, the gap has no length rather than a negative one.
        gap = ReceptionGap(
            reason="session_lost",
            client_id=client_id,
            broker=broker,
            starts_at=min(known.held_at, at),
            ends_at=at,
            recorded_at=at,
        )
        session.add(gap)
        known.established_at = at
    if caught_up or not session_present:
        known.held_at = at
    session.flush()
    return gap


def note_drops(session: Session, *, client_id: str, broker: str, dropped: int, at: datetime) -> ReceptionGap | None:
    """Note how many messages the broker says that it dropped since it was started; the gap, when there are more.

    They were dropped after the last time that we had caught up, since the broker had said another number by then. A
    smaller number is that of a broker that was started anew.
    """
    known = session.get(BrokerSession, (client_id, broker))
    if known is None:
        known = BrokerSession(client_id=client_id, broker=broker, established_at=at, held_at=at)
        session.add(known)
    before, said_at = known.dropped, known.dropped_at
    known.dropped, known.dropped_at = dropped, at
    gap: ReceptionGap | None = None
    if before is not None and said_at is not None and dropped not in {before, 0}:
        since = max(said_at, known.held_at - DROPS_SAID_WITHIN)
        gap = ReceptionGap(
            reason="broker_drops",
            client_id=client_id,
            broker=broker,
            starts_at=min(since, at),
            ends_at=at,
            lost=dropped - before if dropped > before else dropped,
            recorded_at=at,
        )
        session.add(gap)
    session.flush()
    return gap


@dataclass(frozen=True, slots=True, kw_only=True)
class WhichGaps:
    """Gaps with all of these in common; None is no condition. `until` is exclusive."""

    open_only: bool = False
    reason: str | None = None
    object_reference: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    ids: Collection[int] | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A gap with the names of what it is about, empty where it is about all."""

    gap: ReceptionGap
    object_reference: str
    metric: str


def listed(session: Session, which: WhichGaps | None = None, *, limit: int | None = 100) -> list[Listed]:
    """Gaps, newest first; one that lasts comes before all that ended."""
    which = which or WhichGaps()
    query = (
        select(ReceptionGap, ConnectedObject.reference, Metric.name)
        .join(ConnectedObject, col(ConnectedObject.id) == col(ReceptionGap.object_id), isouter=True)
        .join(Metric, col(Metric.id) == col(ReceptionGap.metric_id), isouter=True)
        .order_by(col(ReceptionGap.ends_at).is_not(None), col(ReceptionGap.ends_at).desc(), col(ReceptionGap.id).desc())
    )
    if which.open_only:
        query = query.where(col(ReceptionGap.cleared_at).is_(None))
    if which.reason is not None:
        query = query.where(ReceptionGap.reason == which.reason)
    if which.object_reference is not None:
        query = query.where(ConnectedObject.reference == which.object_reference)
    if which.since is not None:
        query = query.where(or_(col(ReceptionGap.ends_at).is_(None), col(ReceptionGap.ends_at) >= which.since))
    if which.until is not None:
        query = query.where(ReceptionGap.starts_at < which.until)
    if which.ids is not None:
        query = query.where(col(ReceptionGap.id).in_(which.ids))
    return [Listed(gap, reference or "", metric or "") for gap, reference, metric in session.exec(query.limit(limit))]


def count(session: Session, *, open_only: bool = False) -> int:
    """How many gaps were recorded, or are not cleared."""
    query = select(func.count()).select_from(ReceptionGap)
    if open_only:
        query = query.where(col(ReceptionGap.cleared_at).is_(None))
    return session.exec(query).one()


def clear(session: Session, gap: ReceptionGap, *, by: Clearing, at: datetime, why: str = "") -> None:
    """Say that the periods it touches are complete after all, or good enough."""
    gap.cleared_at, gap.cleared_by, gap.cleared_why = at, by, why
    session.add(gap)
    session.flush()
