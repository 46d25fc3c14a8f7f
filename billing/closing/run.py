"""The close: values what is due month by month, and issues each contract's invoice, the number taken last.

The law: a month of a contract is planned on one snapshot and committed in one transaction that checks that nothing
it planned on has changed; closing again changes nothing. What was charged before is never charged again: an invoice
takes the difference between what a schedule is worth now and all that was charged for it. Several closers may run at
once: none repeats what another one does, and what a killed one held is done by those that are left.
"""

import gc
import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from operator import attrgetter

from billing.closing.ahead import has_ended, open_months
from billing.closing.baselines import begin_earlier
from billing.closing.contract import BUSY_ATTEMPTS, Account, ContractCloser, Month, Outcome, Skipped
from billing.closing.incomplete import HeldForReview, Incomplete, tell_incomplete
from billing.closing.reader import MonthReader
from billing.closing.rehearsal import Crossed, DatabaseLike, OneTransaction
from billing.core.errors import BillingError, Refused
from billing.readings import Held, held_in
from billing.recording import Said
from billing.repricing import take_planned
from billing.silences import look
from billing.terms import end_terms
from billing.unbilled import Unbilled, unbilled
from billing.unpriced import Unpriced, unpriced
from storage import claims, closing
from storage.baselines import late_firsts
from storage.closing import ContractToClose
from storage.errors import DatabaseBusy, StorageError
from storage.invoices import InvoiceDocument
from storage.late import touched_days

logger = logging.getLogger(__name__)

DAY = timedelta(days=1)
LATEST_ZONE = timedelta(hours=12)
"""A day ends this long after its end in UTC in the last zone of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A contract that could not be closed for a month; its later months were not tried."""

    contract: str
    month_starts_on: date | None
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseReport:
    """What a close issued, or would issue; `months` counts the contract months that it closed.

    `drafts` wait for approval; the later months of their contracts wait with them.
    """

    until: date
    dry_run: bool
    months: int
    invoices: tuple[InvoiceDocument, ...]
    failures: tuple[Failure, ...]
    unbilled: tuple[Unbilled, ...] = ()
    """Usage that came while suspended, of charges that want it told (`usage_while_suspended: report`)."""
    drafts: tuple[InvoiceDocument, ...] = ()
    incomplete: tuple[Incomplete, ...] = ()
    """Why usage may be missing, of what was invoiced all the same and of what is held for a person."""
    held: tuple[Held, ...] = ()
    """Readings of registers that are held for review, in the periods that were closed."""

    @property
    def unpriced(self) -> tuple[Unpriced, ...]:
        """Usage on these documents that has no price."""
        return unpriced((*self.invoices, *self.drafts))


class _DryRunDone(Exception):
    """Raised at the end of a dry run."""


def close(
    database: DatabaseLike,
    until: date,
    now: datetime,
    dry_run: bool = False,  # noqa: FBT001, FBT002
    *,
    only: Collection[str] | None = None,
    topic_devices: str = "devices",
) -> CloseReport:
    """Close every calendar month that has ended by `until` (included), all contracts month after month.

    Raises Refused when `until` has not ended in the zone of any contract; a contract in whose zone it has not, or
    that cannot be closed for another reason, is a failure in the report, and the others go on. A dry run does the
    same in one transaction and takes it back. With `only`, just the contracts of these names. States of objects whose
    term ends, or whose price changes, are told below `topic_devices`.
    """
    if not dry_run:
        return _close_all(database, until=until, now=now, dry_run=False, only=only, topic_devices=topic_devices)
    for _ in range(BUSY_ATTEMPTS):
        with suppress(Crossed):
            return _rehearsed(database, until=until, now=now, only=only)
    raise DatabaseBusy("the dry run kept crossing other transactions; try again")


def _rehearsed(database: DatabaseLike, *, until: date, now: datetime, only: Collection[str] | None) -> CloseReport:
    report: CloseReport | None = None
    try:
        with database.transaction() as session:
            claims.rehearse(session)
            report = _close_all(OneTransaction(session), until=until, now=now, dry_run=True, only=only)
            raise _DryRunDone  # noqa: TRY301 - the transaction has to see it
    except _DryRunDone:
        assert report is not None  # noqa: S101 - made before it was raised
        return report


def _close_all(
    database: DatabaseLike,
    *,
    until: date,
    now: datetime,
    dry_run: bool,
    only: Collection[str] | None,
    topic_devices: str = "devices",
) -> CloseReport:
    with database.transaction() as session:
        for problem in take_planned(session, Said(now=now, origin="engine", topic_devices=topic_devices)):
            logger.error("%s", problem)
    _end_terms(database, until=until, now=now, topic_devices=topic_devices)
    with database.transaction() as session:
        look(session, now, again=True, wait=True)
    run = _Run(database, now)
    for month, members in sorted(run.find_due(until, only).items()):
        run.close_month(month, members)
    return CloseReport(
        until=until,
        dry_run=dry_run,
        months=run.months,
        invoices=tuple(run.issued),
        failures=tuple(run.failures.values()),
        drafts=tuple(run.drafts),
        unbilled=tuple(run.unbilled),
        incomplete=tuple(sorted(run.incomplete, key=attrgetter("month_starts_on", "contract", "reason"))),
        held=tuple(run.held.values()),
    )


def _end_terms(database: DatabaseLike, *, until: date, now: datetime, topic_devices: str) -> None:
    """Renew or end the terms that are over by the end of `until`, so that what renewed is billed in its month."""
    over_at = min(now, datetime(until.year, until.month, until.day, tzinfo=UTC) + DAY + LATEST_ZONE)
    with database.transaction() as session:
        while end_terms(session, over_at, topic_devices=topic_devices):
            pass


@contextmanager
def uncollected() -> Iterator[None]:
    """Python's search for cycles waits: a contract makes none, and the search walks over all its schedules again."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@dataclass(slots=True)
class _Run:
    """What one closer has done so far."""

    database: DatabaseLike
    now: datetime
    months: int = 0
    issued: list[InvoiceDocument] = field(default_factory=list)
    drafts: list[InvoiceDocument] = field(default_factory=list)
    waiting: set[int] = field(default_factory=set)
    """Contracts with a draft, or held for review: their later months are not closed before it."""
    incomplete: list[Incomplete] = field(default_factory=list)
    failures: dict[int, Failure] = field(default_factory=dict)
    unbilled: list[Unbilled] = field(default_factory=list)
    held: dict[tuple[int, int], Held] = field(default_factory=dict)

    def find_due(self, until: date, only: Collection[str] | None) -> dict[Month, list[ContractToClose]]:
        due: dict[Month, list[ContractToClose]] = {}
        with self.database.snapshot() as session:
            contracts = closing.contracts(session)
            if only is not None:
                accounts = {it.account for it in contracts if it.name in only}
                contracts = [it for it in contracts if it.account in accounts]
            for contract in contracts:
                if not has_ended(contract, until, self.now):
                    message = f"{until} has not ended in {contract.timezone}; choose an earlier day or wait"
                    self.failures[contract.id] = Failure(contract=contract.name, month_starts_on=None, message=message)
            ended = [it for it in contracts if it.id not in self.failures]
            for contract, month in open_months(session, ended, until):
                due.setdefault(month, []).append(contract)
        if contracts and len(self.failures) == len(contracts):
            raise Refused(f"{until} has not ended in the zone of any contract; choose an earlier day")
        return due

    @contextmanager
    def _reader(self) -> Iterator[MonthReader]:
        """One state of the database, in which every register is counted from its first reading; else that is mended.

        It is looked for in the very state that is planned on: what comes later is above its mark.
        """
        while True:
            with self.database.snapshot() as session:
                touched = touched_days(session)
                if not late_firsts(session, touched):
                    yield MonthReader(session, touched, self.database)
                    return
            with self.database.transaction() as session:
                begin_earlier(session)

    def close_month(self, month: Month, members: Sequence[ContractToClose]) -> None:
        """Close what no other closer holds, then wait for the rest: it is closed by then, or left by one that died."""
        with self._reader() as reader:
            closer = ContractCloser(database=self.database, reader=reader, month=month, now=self.now)
            accounts: dict[tuple[object, ...], list[ContractToClose]] = {}
            for contract in members:
                accounts.setdefault(contract.account, []).append(contract)
            held = [it for it in accounts.values() if self._close(closer, it, wait=False) is Skipped.HELD]
            for account in held:
                self._close(closer, account, wait=True)
            self.incomplete += closer.incomplete
        closed = [contract.id for contract in members if contract.id not in self.failures]
        with self.database.snapshot() as session:
            self.unbilled += unbilled(session, words=("report",), contracts=closed, month=month)
            self.held |= {(it.object_id, it.metric_id): it for it in held_in(session, closed, month)}

    def _close(self, closer: ContractCloser, account: Account, *, wait: bool) -> Outcome | None:
        if any(contract.id in self.waiting for contract in account):
            self.waiting.update(contract.id for contract in account)
            return None
        failed = next((contract for contract in account if contract.id in self.failures), None)
        if failed is not None:
            self._fail(account, closer.month, f"{failed.name} is on the same invoice and could not be closed")
            return None
        try:
            with uncollected():
                found = closer.close(account, wait=wait)
        except Crossed:
            raise
        except HeldForReview as held:
            self.waiting.update(contract.id for contract in account)
            self.incomplete += held.found
            self._tell_held(held)
            return None
        except Exception as error:
            if not isinstance(error, BillingError | StorageError):
                logger.exception("closing %s failed", account[0].name)
            self._fail(account, closer.month, str(error) or type(error).__name__)
            return None
        if isinstance(found, Skipped):
            return found
        if any(document.status == "draft" for document in found):
            self.waiting.update(contract.id for contract in account)
            self.drafts.extend(found)
        else:
            self.months += len(account)
            self.issued.extend(found)
        return found

    def _tell_held(self, held: HeldForReview) -> None:
        try:
            with self.database.transaction() as session:
                tell_incomplete(session, held.found, self.now)
        except StorageError as error:
            logger.warning("what is held for review is told by the next close: %s", error)

    def _fail(self, account: Account, month: Month, message: str) -> None:
        """Report every contract of the account; what failed before keeps its first reason."""
        for contract in account:
            failure = Failure(contract=contract.name, month_starts_on=month[0], message=message)
            self.failures.setdefault(contract.id, failure)
