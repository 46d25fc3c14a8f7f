"""Which sessions the broker is known to keep for us, and the times in which it lost one.

The law: a session that stood once and does not stand any more is a gap, written with the connection that shows it.
"""

from datetime import datetime
from typing import Literal

from sqlalchemy import func
from sqlmodel import Session, col, select

from storage.tables import BrokerSession, ReceptionGap

GapReason = Literal["session_lost"]


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
        reason: GapReason = "session_lost"
        gap = ReceptionGap(
            client_id=client_id, broker=broker, starts_at=min(known.held_at, at), ends_at=at, reason=reason
        )
        session.add(gap)
        known.established_at = at
    if caught_up or not session_present:
        known.held_at = at
    session.flush()
    return gap


def listed(session: Session, *, limit: int = 100) -> list[ReceptionGap]:
    """Gaps, newest first."""
    query = select(ReceptionGap).order_by(col(ReceptionGap.ends_at).desc(), col(ReceptionGap.id).desc()).limit(limit)
    return list(session.exec(query))


def count(session: Session) -> int:
    """How many gaps were recorded."""
    return session.exec(select(func.count()).select_from(ReceptionGap)).one()
