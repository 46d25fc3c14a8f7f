"""How many months of contracts a close has before it, so that who waits for it sees how far it is."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlmodel import Session

from billing.core.periods import DAY, add_months, billing_months, local_midnight
from storage import closing


def months_due(session: Session, until: date, now: datetime) -> int:
    """The months that have ended by `until`, included, of every contract in whose zone it has ended, not closed yet."""
    last = closing.all_last_closed(session)
    count = 0
    for contract in closing.contracts(session):
        if local_midnight(until + DAY, ZoneInfo(contract.timezone)) <= now:
            closed = last.get(contract.id)
            first = contract.starts_on if closed is None else add_months(closed, 1)
            count += sum(1 for _ in billing_months(first, until))
    return count
