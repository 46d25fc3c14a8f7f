"""The contracts that a close walks, each claimed by its revision, and the months that it leaves closed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from sqlalchemy import text, update
from sqlmodel import Session, col, func, select

from storage.tables import (
    BillingMonth,
    Contract,
)

WORK_MEMORY = "128MB"
"""For one sort or one grouping of a close: those of 100,000 objects fit, where the default of 4 MB goes to the disk."""
BY_SETS = {"work_mem": WORK_MEMORY, "jit": "off", "cursor_tuple_fraction": "1"}
"""A few statements over a whole fleet: compiling each costs more than it gives, and every row of a cursor is read."""
BESIDE = {"max_parallel_workers_per_gather": "0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractToClose:
    id: int
    name: str
    currency: str
    timezone: str
    starts_on: date
    grouping: tuple[str, ...]
    revision: int
    approval: str = "none"
    minimum_invoice: Fraction = Fraction(0)
    """Major units, VAT included."""
    invoicing: str = "contract"
    incomplete: str = "note"
    """What becomes of an invoice whose usage may be incomplete: `note` or `hold`."""
    terms: tuple[object, ...] = ()
    """What the contracts of one invoice have in common: customer, currency, zone, and what an invoice is issued by."""

    @property
    def account(self) -> tuple[object, ...]:
        """Contracts of one account are on one invoice: a contract is alone, or with all of its customer's alike."""
        return self.terms if self.invoicing == "customer" else (self.id,)

    def part_of(self, attributes: Mapping[str, Any]) -> str:
        """Which of the contract's invoices an object is on; without the attribute, the one without a value."""
        if not self.invoicing.startswith("attribute:"):
            return ""
        return str(attributes.get(self.invoicing.removeprefix("attribute:"), ""))


def work_by_sets(session: Session, *, beside: bool = False) -> None:
    """Tell PostgreSQL, for this transaction, that a few statements over many rows follow; SQLite needs no telling.

    `beside` another transaction of this process, that works meanwhile, each keeps to one processor.
    """
    connection = session.connection()
    if connection.dialect.name != "sqlite":
        told = BY_SETS | BESIDE if beside else BY_SETS
        settings = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in told.items())
        connection.execute(text(f"SELECT {settings}"))


def contracts(session: Session) -> list[ContractToClose]:
    """All contracts in order of name (by code point: the same order on every database)."""
    return sorted((_contract(row) for row in session.exec(select(Contract))), key=lambda found: found.name)


def contract(session: Session, contract_id: int) -> ContractToClose:
    """One contract as it stands now."""
    query = select(Contract).where(Contract.id == contract_id).execution_options(populate_existing=True)
    return _contract(session.exec(query).one())


def _contract(row: Contract) -> ContractToClose:
    assert row.id is not None  # noqa: S101 - read from the table
    return ContractToClose(
        id=row.id,
        name=row.name,
        currency=row.currency,
        timezone=row.timezone,
        starts_on=row.starts_on,
        grouping=tuple(row.grouping),
        revision=row.revision,
        approval=row.approval,
        minimum_invoice=row.minimum_invoice,
        invoicing=row.invoicing,
        incomplete=row.incomplete,
        terms=(
            row.customer_id,
            row.currency,
            row.timezone,
            row.payment_terms_days,
            row.approval,
            row.dating,
            row.minimum_invoice,
            row.incomplete,
        ),
    )


def last_closed(session: Session, contract_id: int) -> date | None:
    """First day of the contract's last closed month."""
    return session.exec(
        select(col(BillingMonth.month_starts_on))
        .where(BillingMonth.contract_id == contract_id)
        .order_by(col(BillingMonth.month_starts_on).desc())
        .limit(1)
    ).first()


def all_last_closed(session: Session) -> dict[int, date]:
    """First day of the last closed month of every contract that has one, by the contract's id."""
    query = select(BillingMonth.contract_id, func.max(BillingMonth.month_starts_on)).group_by(
        col(BillingMonth.contract_id)
    )
    return dict(session.exec(query).all())


def unchanged(session: Session, contracts: Sequence[ContractToClose]) -> bool:
    """Whether every contract is still at the revision that was planned on."""
    ids = [contract.id for contract in contracts]
    rows = session.connection().execute(
        select(col(Contract.id), col(Contract.revision)).where(col(Contract.id).in_(ids))
    )
    return {row[0]: row[1] for row in rows} == {contract.id: contract.revision for contract in contracts}


def claim(session: Session, *, contract_id: int, revision: int) -> bool:
    """Raise the contract's revision if it is still the one planned on; False when it has changed. Locks the row."""
    result = session.connection().execute(
        update(Contract)
        .where(col(Contract.id) == contract_id, col(Contract.revision) == revision)
        .values(revision=revision + 1)
    )
    return result.rowcount == 1


def close_month(session: Session, month: BillingMonth) -> None:
    """Remember that the month was closed, and up to which batch."""
    session.add(month)
    session.flush()
