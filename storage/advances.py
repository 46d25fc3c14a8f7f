"""Money paid on contracts before it was invoiced, and what of it invoices took; append-only."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import func
from sqlmodel import Session, col, select

from storage.tables import Advance, Contract, Invoice, Payment


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvanceRow:
    """An advance with what invoices took of it, in minor units of its contract's currency."""

    advance: Advance
    contract: str
    currency: str
    taken_minor: int

    @property
    def left_minor(self) -> int:
        """What the next invoice may take."""
        return self.advance.amount_minor - self.taken_minor


def add(session: Session, advance: Advance) -> None:
    """Record an advance."""
    session.add(advance)
    session.flush()


def find(session: Session, contract_id: int, reference: str) -> Advance | None:
    """A contract's advance of a reference."""
    return session.exec(
        select(Advance).where(Advance.contract_id == contract_id, Advance.reference == reference)
    ).first()


def of_contracts(session: Session, contract_ids: Collection[int] | None = None) -> Sequence[AdvanceRow]:
    """The advances of contracts (of all unless given), those paid first before the others."""
    taken = (
        select(col(Payment.advance_id), func.sum(Payment.amount_minor).label("taken"))
        .where(col(Payment.advance_id).is_not(None))
        .group_by(col(Payment.advance_id))
        .subquery()
    )
    query = (
        select(Advance, Contract.name, Contract.currency, taken.c.taken)
        .join(Contract, col(Contract.id) == col(Advance.contract_id))
        .outerjoin(taken, taken.c.advance_id == Advance.id)
        .order_by(col(Advance.paid_on), col(Advance.id))
    )
    if contract_ids is not None:
        query = query.where(col(Advance.contract_id).in_(contract_ids))
    return [
        AdvanceRow(advance=advance, contract=contract, currency=currency, taken_minor=int(amount or 0))
        for advance, contract, currency, amount in session.exec(query)
    ]


def taken_too_early(session: Session) -> Sequence[tuple[str, str]]:
    """Documents dated before an advance that they took was paid, with its reference."""
    query = (
        select(Invoice.number, Advance.reference)
        .join(Payment, col(Payment.invoice_id) == col(Invoice.id))
        .join(Advance, col(Advance.id) == col(Payment.advance_id))
        .where(col(Advance.paid_on) > col(Invoice.issued_on))
    )
    return [(number or "", reference) for number, reference in session.exec(query)]
