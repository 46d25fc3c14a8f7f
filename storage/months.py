"""Months that the bookkeeper locked, and the first day that is open."""

from collections.abc import Sequence
from datetime import date, timedelta

from sqlmodel import Session, col, select

from storage.locks import share, wait_for
from storage.tables import LockedMonth

FOUR_DAYS = timedelta(days=4)


def locked(session: Session) -> Sequence[LockedMonth]:
    """The locked months, oldest first."""
    return session.exec(select(LockedMonth).order_by(col(LockedMonth.month_starts_on))).all()


def find(session: Session, month_starts_on: date) -> LockedMonth | None:
    """The lock of a month, if it is locked; no document gets a date meanwhile."""
    wait_for(session, "months")
    return session.get(LockedMonth, month_starts_on, populate_existing=True)


def lock(session: Session, month: LockedMonth) -> None:
    """Lock a month that was looked for in this transaction."""
    session.add(month)
    session.flush()


def unlock(session: Session, month: LockedMonth) -> None:
    """Open a month again."""
    session.delete(month)
    session.flush()


def first_open_day(session: Session, day: date) -> date:
    """The day, or the first of the next month that is not locked; none is locked until the transaction ends."""
    share(session, "months")
    closed = {
        row.month_starts_on
        for row in session.exec(select(LockedMonth).where(col(LockedMonth.month_starts_on) >= day.replace(day=1)))
    }
    while day.replace(day=1) in closed:
        day = (day.replace(day=28) + FOUR_DAYS).replace(day=1)
    return day
