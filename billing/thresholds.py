"""Threshold billing: what passed an amount is invoiced at once, dated that local day, while its period goes on.

The law: each look is one transaction a contract, and looking again at the same usage changes nothing.
"""

import logging
from collections.abc import Collection
from datetime import datetime
from zoneinfo import ZoneInfo

from billing.closing.commit import commit_early
from billing.closing.early import plan_early, threshold_of
from billing.closing.reader import MonthReader
from billing.closing.rehearsal import DatabaseLike, OneTransaction
from billing.closing.run import CloseReport, Failure
from billing.core.charges import charge_from
from billing.core.errors import BillingError, Conflict, Invalid
from storage import claims, closing, invoices, records, thresholds
from storage.closing import ContractToClose
from storage.errors import StorageError
from storage.invoices import InvoiceDocument
from storage.types import to_micros

logger = logging.getLogger(__name__)
ATTEMPTS = 3
"""How often a contract is planned again because it changed meanwhile, before it is left to the next look."""


class _DryRunDone(Exception):
    """Raised at the end of a dry run."""


def bill_thresholds(
    database: DatabaseLike, now: datetime, *, dry_run: bool = False, only: Collection[str] | None = None
) -> CloseReport:
    """Invoice what has passed its threshold by now. A dry run does the same in one transaction and takes it back.

    A contract that cannot be invoiced is a failure in the report, and the others go on. One that asks for approval is
    left to the close.
    """
    if not dry_run:
        return _look(database, now, dry_run=False, only=only)
    report: CloseReport | None = None
    try:
        with database.transaction() as session:
            report = _look(OneTransaction(session), now, dry_run=True, only=only)
            raise _DryRunDone  # noqa: TRY301 - the transaction has to see it
    except _DryRunDone:
        assert report is not None  # noqa: S101 - made before it was raised
        return report


def _look(database: DatabaseLike, now: datetime, *, dry_run: bool, only: Collection[str] | None) -> CloseReport:
    issued: list[InvoiceDocument] = []
    failures: list[Failure] = []
    with database.snapshot() as session:
        found = thresholds.going_on(session, _charges(MonthReader(session)), to_micros(now))
        contracts = [
            it
            for it in (closing.contracts(session) if found else ())
            if it.id in found and it.approval == "none" and (only is None or it.name in only)
        ]
    for contract in contracts:
        try:
            issued += _bill(database, contract, found[contract.id], now)
        except Exception as error:
            if not isinstance(error, BillingError | StorageError):
                logger.exception("billing the thresholds of %s failed", contract.name)
            message = str(error) or type(error).__name__
            failures.append(Failure(contract=contract.name, month_starts_on=None, message=message))
    today = now.date()
    return CloseReport(until=today, dry_run=dry_run, months=0, invoices=tuple(issued), failures=tuple(failures))


def _charges(reader: MonthReader) -> set[int]:
    found = set()
    for row in records.usage_charges(reader.session):
        try:
            if threshold_of(charge_from(row.definition)) is not None:
                found.add(row.id or 0)
        except Invalid:  # said where its contract is closed
            continue
    return found


def _bill(
    database: DatabaseLike, contract: ContractToClose, schedule_ids: list[int], now: datetime
) -> list[InvoiceDocument]:
    on = now.astimezone(ZoneInfo(contract.timezone)).date()
    for _ in range(ATTEMPTS):
        with database.snapshot() as session:
            plan = plan_early(MonthReader(session), closing.contract(session, contract.id), schedule_ids, on)
        if plan is None:
            return []
        with database.transaction() as session:
            if claims.are_kept(session):
                claims.claim(session, contract.id, wait=True)
            numbers = commit_early(session, plan, now, on)
            if numbers is not None:
                return [invoices.invoice_document(session, number) for number in numbers]
    raise Conflict(f"{contract.name} kept changing; the next look finds what is still owed")
