"""One month of the contracts of one account, closed by one of several closers: claimed, planned, committed.

The law: no month is closed twice. Where the database keeps claims, a closer holds the contracts while it plans and
commits, and what another holds is put off; where not, the commit is conditional on what was planned. An account is one
contract, or all contracts of a customer that are invoiced together: they are closed together or not at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from operator import attrgetter

from sqlmodel import Session

from billing.closing.commit import commit_plan
from billing.closing.incomplete import Incomplete
from billing.closing.plan import MonthPlan, plan_month
from billing.closing.reader import MonthReader
from billing.closing.rehearsal import DatabaseLike
from billing.core.errors import Conflict
from storage import claims, closing, invoices
from storage.baselines import late_firsts
from storage.closing import ContractToClose
from storage.errors import DatabaseBusy
from storage.late import touched_days

PLAN_ATTEMPTS = 3
"""How often a contract is planned again because it changed meanwhile, before the close gives it up."""
BUSY_ATTEMPTS = 5
"""How often a contract is tried whose transaction crossed another one, before that is a failure."""

Month = tuple[date, date]
Account = Sequence[ContractToClose]
"""Contracts that are invoiced together, in order of name."""


class Skipped(Enum):
    """Why a closer left a contract month alone."""

    HELD = "another closer holds the contract"
    CLOSED = "another closer closed the month"


Outcome = list[invoices.InvoiceDocument] | Skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractCloser:
    """Closes one month, account after account; all that they read only once is in the reader."""

    database: DatabaseLike
    reader: MonthReader
    month: Month
    now: datetime
    incomplete: list[Incomplete] = field(default_factory=list)
    """What was closed although usage may be missing."""

    def close(self, account: Account, *, wait: bool) -> Outcome:
        """The invoices issued for the account; with `wait`, it is never skipped because another holds it."""
        for _ in range(BUSY_ATTEMPTS - 1):
            try:
                return self._try(account, wait=wait)
            except DatabaseBusy:
                continue
        return self._try(account, wait=wait)

    def _try(self, account: Account, *, wait: bool) -> Outcome:
        if claims.are_kept(self.reader.session):
            return self._claimed(account, wait=wait)
        return self._conditional(account)

    def _claimed(self, account: Account, *, wait: bool) -> Outcome:
        with self.database.transaction() as session:
            closing.work_by_sets(session)
            # In order of id, as all that claim several: two closers never wait for each other.
            for contract in sorted(account, key=attrgetter("id")):
                if not claims.claim(session, contract.id, wait=wait):
                    return Skipped.HELD
            # In this transaction and not in the reader's snapshot, which may be older than another's commit.
            still_open = self._still_open(session, account)
            if not still_open:
                return Skipped.CLOSED
            plan = self._planned(still_open, self.reader)
            numbers = None if plan is None else commit_plan(session, plan, self.now)
            if numbers is None:
                plan = self._planned_again(still_open)
                numbers = None if plan is None else commit_plan(session, plan, self.now)
            if plan is not None and numbers is not None:
                self.incomplete.extend(plan.incomplete)
                return [invoices.invoice_document(session, number) for number in numbers]
        raise Conflict(f"{account[0].name} changed although it was held; close again")

    def _conditional(self, account: Account) -> Outcome:
        with self.database.snapshot() as session:
            still_open = self._still_open(session, account)
        if not still_open:
            return Skipped.CLOSED
        plan = self._planned(still_open, self.reader)
        for _ in range(PLAN_ATTEMPTS):
            if plan is None:
                return Skipped.CLOSED
            with self.database.transaction() as session:
                numbers = commit_plan(session, plan, self.now)
                if numbers is not None:
                    self.incomplete.extend(plan.incomplete)
                    return [invoices.invoice_document(session, number) for number in numbers]
            plan = self._planned_again(still_open)
        raise Conflict(f"{account[0].name} kept changing while it was closed; close again")

    def _still_open(self, session: Session, account: Account) -> Account:
        last = {contract.id: closing.last_closed(session, contract.id) for contract in account}
        return [it for it in account if (closed := last[it.id]) is None or closed < self.month[0]]

    def _planned_again(self, account: Account) -> MonthPlan | None:
        """On a state of its own, because the contracts changed since the reader's."""
        with self.database.snapshot() as fresh:
            touched = touched_days(fresh)
            if late_firsts(fresh, touched):
                raise Conflict(f"a register's first reading came while {account[0].name} was closed; close again")
            return self._planned(account, MonthReader(fresh, touched))

    def _planned(self, account: Account, reader: MonthReader) -> MonthPlan | None:
        contracts = [closing.contract(reader.session, contract.id) for contract in account]
        return plan_month(reader, contracts, self.month)
