"""Money paid on contracts before it was invoiced, and what of it invoices took; append-only."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

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
    query = _rows().order_by(col(Advance.paid_on), col(Advance.id))
    if contract_ids is not None:
        query = query.where(col(Advance.contract_id).in_(contract_ids))
    return _shown(session, query)


def page(session: Session, *, contract: str | None = None, after: int = 0, limit: int) -> Sequence[AdvanceRow]:
    """Advances in the order in which they were recorded, of one contract when it is named, at most `limit`."""
    query = _rows().where(col(Advance.id) > after).order_by(col(Advance.id)).limit(limit)
    return _shown(session, query if contract is None else query.where(col(Contract.name) == contract))


def whole(session: Session, identity: int) -> AdvanceRow:
    """One advance with what was taken of it."""
    (row,) = _shown(session, _rows().where(col(Advance.id) == identity))
    return row


def _rows() -> Any:
    taken = (
        select(col(Payment.advance_id), func.sum(Payment.amount_minor).label("taken"))
        .where(col(Payment.advance_id).is_not(None))
        .group_by(col(Payment.advance_id))
        .subquery()
    )
    return (
        select(Advance, Contract.name, Contract.currency, taken.c.taken)
        .join(Contract, col(Contract.id) == col(Advance.contract_id))
        .outerjoin(taken, taken.c.advance_id == Advance.id)
    )


def _shown(session: Session, query: Any) -> Sequence[AdvanceRow]:
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
