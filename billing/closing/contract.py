"""One month of one contract, closed by one of several closers: claimed, planned, committed.

The law: no month is closed twice. Where the database keeps claims, a closer holds the contract while it plans and
commits, and what another holds is put off; where not, the commit is conditional on what was planned.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum

from billing.closing.commit import commit_plan
from billing.closing.plan import InvoicePlan, plan_contract_month
from billing.closing.reader import MonthReader
from billing.closing.rehearsal import DatabaseLike
from billing.core.errors import Conflict
from storage import claims, closing, invoices
from storage.closing import ContractToClose
from storage.errors import DatabaseBusy

PLAN_ATTEMPTS = 3
"""How often a contract is planned again because it changed meanwhile, before the close gives it up."""
BUSY_ATTEMPTS = 5
"""How often a contract is tried whose transaction crossed another one, before that is a failure."""

Month = tuple[date, date]


class Skipped(Enum):
    """Why a closer left a contract month alone."""

    HELD = "another closer holds the contract"
    CLOSED = "another closer closed the month"


Outcome = list[invoices.InvoiceDocument] | Skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractCloser:
    """Closes one month, contract after contract; all that they read only once is in the reader."""

    database: DatabaseLike
    reader: MonthReader
    month: Month
    now: datetime

    def close(self, contract: ContractToClose, *, wait: bool) -> Outcome:
        """The invoices issued for the contract; with `wait`, it is never skipped because another holds it."""
        for _ in range(BUSY_ATTEMPTS - 1):
            try:
                return self._try(contract, wait=wait)
            except DatabaseBusy:
                continue
        return self._try(contract, wait=wait)

    def _try(self, contract: ContractToClose, *, wait: bool) -> Outcome:
        if claims.are_kept(self.reader.session):
            return self._claimed(contract, wait=wait)
        return self._conditional(contract)

    def _claimed(self, contract: ContractToClose, *, wait: bool) -> Outcome:
        with self.database.transaction() as session:
            if not claims.claim(session, contract.id, wait=wait):
                return Skipped.HELD
            # In this transaction and not in the reader's snapshot, which may be older than another's commit.
            last = closing.last_closed(session, contract.id)
            if last is not None and last >= self.month[0]:
                return Skipped.CLOSED
            plan = self._planned(contract, self.reader)
            numbers = None if plan is None else commit_plan(session, plan, self.now)
            if numbers is None:
                with self.database.snapshot() as fresh:
                    plan = self._planned(contract, MonthReader(fresh))
                numbers = None if plan is None else commit_plan(session, plan, self.now)
            if numbers is not None:
                return [invoices.invoice_document(session, number) for number in numbers]
        raise Conflict(f"{contract.name} changed although it was held; close again")

    def _conditional(self, contract: ContractToClose) -> Outcome:
        with self.database.snapshot() as session:
            last = closing.last_closed(session, contract.id)
        if last is not None and last >= self.month[0]:
            return Skipped.CLOSED
        plan = self._planned(contract, self.reader)
        for _ in range(PLAN_ATTEMPTS):
            if plan is None:
                return Skipped.CLOSED
            with self.database.transaction() as session:
                numbers = commit_plan(session, plan, self.now)
                if numbers is not None:
                    return [invoices.invoice_document(session, number) for number in numbers]
            with self.database.snapshot() as session:
                plan = self._planned(contract, MonthReader(session))
        raise Conflict(f"{contract.name} kept changing while it was closed; close again")

    def _planned(self, contract: ContractToClose, reader: MonthReader) -> InvoicePlan | None:
        return plan_contract_month(reader, closing.contract(reader.session, contract.id), self.month)
