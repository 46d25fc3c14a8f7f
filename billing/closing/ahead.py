"""The months of contracts that a close has before it; their number shows who waits for it how far it is."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlmodel import Session

from billing.core.periods import DAY, add_months, billing_months, local_midnight
from storage import closing
from storage.closing import ContractToClose


def has_ended(contract: ContractToClose, until: date, now: datetime) -> bool:
    """Whether the local day `until` is over in the contract's zone."""
    return local_midnight(until + DAY, ZoneInfo(contract.timezone)) <= now


def open_months(
    session: Session, contracts: Iterable[ContractToClose], until: date
) -> Iterator[tuple[ContractToClose, tuple[date, date]]]:
    """The months `[start, end)` of each contract that have ended by `until`, included, and are not closed."""
    last = closing.all_last_closed(session)
    for contract in contracts:
        closed = last.get(contract.id)
        for month in billing_months(contract.starts_on if closed is None else add_months(closed, 1), until):
            yield contract, month


def months_due(session: Session, until: date, now: datetime) -> int:
    """How many months a close up to `until` would close, of every contract in whose zone that day has ended."""
    ended = [it for it in closing.contracts(session) if has_ended(it, until, now)]
    return sum(1 for _ in open_months(session, ended, until))
