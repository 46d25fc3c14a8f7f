"""Messages of an object that were counted and not kept: a gap an hour, with their number.

The law: what is not kept is counted where the object's period can be seen.
"""

from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from storage.tables import ConnectedObject, ReceptionGap

WINDOW = timedelta(hours=1)


def window_of(at: datetime) -> datetime:
    """The beginning of the hour."""
    return at.replace(minute=0, second=0, microsecond=0)


def object_id(session: Session, reference: str | None) -> int | None:
    """The object of a reference, if it is registered."""
    if reference is None:
        return None
    return session.exec(select(ConnectedObject.id).where(ConnectedObject.reference == reference)).first()


def note_lost(session: Session, identity: int, *, source: str, at: datetime, now: datetime, messages: int = 1) -> None:
    """So many more messages of an object that are gone."""
    begin = window_of(at)
    query = select(ReceptionGap).where(
        ReceptionGap.object_id == identity,
        ReceptionGap.reason == "limit_exceeded",
        ReceptionGap.source == source,
        col(ReceptionGap.starts_at) >= begin,
        col(ReceptionGap.starts_at) < begin + WINDOW,
        col(ReceptionGap.cleared_at).is_(None),
    )
    gap = session.exec(query).first()
    if gap is None:
        gap = ReceptionGap(
            reason="limit_exceeded",
            object_id=identity,
            source=source,
            starts_at=at,
            ends_at=at,
            lost=0,
            recorded_at=now,
        )
    gap.lost = (gap.lost or 0) + messages
    gap.ends_at = at if gap.ends_at is None else max(gap.ends_at, at)
    session.add(gap)
    session.flush()
