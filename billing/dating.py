"""The day that a document bears, and the months that a bookkeeper locked: they take no more."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import Session

from billing.core.errors import Refused
from billing.core.periods import add_months
from storage import months
from storage.tables import Contract, LockedMonth

DAY = timedelta(days=1)


def issue_day(session: Session, contract: Contract, month_ends_on: date, now: datetime) -> date:
    """The day of an invoice for a month that ends (exclusive) on a day, as the contract says; the first open one."""
    last_day = month_ends_on - DAY
    if contract.dating == "issue_day":
        return first_open_day(session, max(last_day, now.astimezone(ZoneInfo(contract.timezone)).date()))
    return first_open_day(session, last_day)


def first_open_day(session: Session, day: date) -> date:
    """The day, or the first of the next month that is not locked."""
    return months.first_open_day(session, day)


def lock_month(session: Session, month_starts_on: date, now: datetime) -> bool:
    """Lock a month: what is issued from now on is dated after it. False when it is locked already.

    Raises Refused for a month that has not ended.
    """
    if add_months(month_starts_on, 1) > now.date():
        raise Refused(
            f"{month_starts_on:%Y-%m} has not ended; a month is locked when nothing more is to be dated in it"
        )
    if months.find(session, month_starts_on) is not None:
        return False
    months.lock(session, LockedMonth(month_starts_on=month_starts_on, locked_at=now))
    return True


def unlock_month(session: Session, month_starts_on: date) -> bool:
    """Open a locked month again; False when it is not locked."""
    found = months.find(session, month_starts_on)
    if found is None:
        return False
    months.unlock(session, found)
    return True
