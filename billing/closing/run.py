"""The close: values what is due month by month, and issues each contract's invoice, the number taken last.

The law: a month of a contract is planned on one snapshot and committed in one transaction that checks that nothing
it planned on has changed; closing again changes nothing. What was charged before is never charged again: an invoice
takes the difference between what a schedule is worth now and all that was charged for it.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from billing.closing.commit import commit_plan
from billing.closing.plan import plan_contract_month
from billing.closing.reader import MonthReader
from billing.closing.rehearsal import DatabaseLike, OneTransaction
from billing.core.errors import BillingError, Conflict, Refused
from billing.core.periods import add_months, billing_months, local_midnight
from billing.terms import end_terms
from storage import closing, invoices
from storage.closing import ContractToClose
from storage.errors import StorageError

logger = logging.getLogger(__name__)

DAY = timedelta(days=1)
LATEST_ZONE = timedelta(hours=12)
"""A day ends this long after its end in UTC in the last zone of all."""
PLAN_ATTEMPTS = 3
"""How often a contract is planned again because it changed meanwhile, before the close gives it up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A contract that could not be closed for a month; its later months were not tried."""

    contract: str
    month_starts_on: date | None
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseReport:
    """What a close issued, or would issue; `months` counts the contract months that it closed."""

    until: date
    dry_run: bool
    months: int
    invoices: tuple[invoices.InvoiceDocument, ...]
    failures: tuple[Failure, ...]


class _DryRunDone(Exception):
    """Raised at the end of a dry run."""


def close(
    database: DatabaseLike,
    until: date,
    now: datetime,
    dry_run: bool = False,  # noqa: FBT001, FBT002
    *,
    only: Collection[str] | None = None,
) -> CloseReport:
    """Close every calendar month that has ended by `until` (included), all contracts month after month.

    Raises Refused when `until` has not ended in the zone of any contract; a contract in whose zone it has not, or
    that cannot be closed for another reason, is a failure in the report, and the others go on. A dry run does the
    same in one transaction and takes it back. With `only`, just the contracts of these names.
    """
    if not dry_run:
        return _close_all(database, until=until, now=now, dry_run=False, only=only)
    report: CloseReport | None = None
    try:
        with database.transaction() as session:
            report = _close_all(OneTransaction(session), until=until, now=now, dry_run=True, only=only)
            raise _DryRunDone  # noqa: TRY301 - the transaction has to see it
    except _DryRunDone:
        assert report is not None  # noqa: S101 - made before it was raised
        return report


def _close_all(
    database: DatabaseLike, *, until: date, now: datetime, dry_run: bool, only: Collection[str] | None
) -> CloseReport:
    _end_terms(database, until=until, now=now)
    failures: dict[int, Failure] = {}
    due: dict[tuple[date, date], list[ContractToClose]] = {}
    with database.snapshot() as session:
        contracts = [it for it in closing.contracts(session) if only is None or it.name in only]
        for contract in contracts:
            if local_midnight(until + DAY, ZoneInfo(contract.timezone)) > now:
                message = f"{until} has not ended in {contract.timezone}; choose an earlier day or wait"
                failures[contract.id] = Failure(contract=contract.name, month_starts_on=None, message=message)
                continue
            last = closing.last_closed(session, contract.id)
            first = contract.starts_on if last is None else add_months(last, 1)
            for month in billing_months(first, until):
                due.setdefault(month, []).append(contract)
    if contracts and len(failures) == len(contracts):
        raise Refused(f"{until} has not ended in the zone of any contract; choose an earlier day")
    issued: list[invoices.InvoiceDocument] = []
    months = 0
    for month, members in sorted(due.items()):
        with database.snapshot() as session:
            reader = MonthReader(session)
            for contract in members:
                if contract.id in failures:
                    continue
                try:
                    found = _close_contract(database, reader, contract=contract, month=month, now=now)
                except Exception as error:
                    if not isinstance(error, BillingError | StorageError):
                        logger.exception("closing %s failed", contract.name)
                    message = str(error) or type(error).__name__
                    failures[contract.id] = Failure(contract=contract.name, month_starts_on=month[0], message=message)
                    continue
                months += 1
                issued.extend(found)
    return CloseReport(
        until=until, dry_run=dry_run, months=months, invoices=tuple(issued), failures=tuple(failures.values())
    )


def _end_terms(database: DatabaseLike, *, until: date, now: datetime) -> None:
    """Renew or end the terms that are over by the end of `until`, so that what renewed is billed in its month."""
    over_at = min(now, datetime(until.year, until.month, until.day, tzinfo=UTC) + DAY + LATEST_ZONE)
    with database.transaction() as session:
        while end_terms(session, over_at):
            pass


def _close_contract(
    database: DatabaseLike, reader: MonthReader, *, contract: ContractToClose, month: tuple[date, date], now: datetime
) -> list[invoices.InvoiceDocument]:
    plan = plan_contract_month(reader, closing.contract(reader.session, contract.id), month)
    for _ in range(PLAN_ATTEMPTS):
        if plan is None:
            return []
        with database.transaction() as session:
            outcome = commit_plan(session, plan, now)
            if outcome is not None:
                return [invoices.invoice_document(session, found) for found in outcome]
        with database.snapshot() as session:
            plan = plan_contract_month(MonthReader(session), closing.contract(session, contract.id), month)
    raise Conflict(f"{contract.name} kept changing while it was closed; close again")
