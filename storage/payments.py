"""Payments of issued documents; append-only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import func
from sqlmodel import Session, col, select

from storage.tables import Invoice, Payment
from storage.telling import tell_paid


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRow:
    """An issued document with what was paid of it, in minor units."""

    id: int
    number: str
    kind: str
    customer_id: int
    currency: str
    minor_digits: int
    gross_minor: int
    issued_on: date
    due_on: date
    corrects: tuple[str, ...]
    paid_minor: int


def documents(session: Session, *, number: str | None = None, lock: bool = False) -> list[DocumentRow]:
    """Issued documents in the order of issue; with a number, all of that document's customer and currency.

    `lock` holds the named document until the transaction ends, so that two payments of it take turns.
    """
    paid = (
        select(col(Payment.invoice_id), func.sum(Payment.amount_minor).label("paid"))
        .group_by(col(Payment.invoice_id))
        .subquery()
    )
    query = (
        select(Invoice, paid.c.paid)
        .outerjoin(paid, paid.c.invoice_id == Invoice.id)
        .where(Invoice.status == "issued")
        .order_by(col(Invoice.issued_on), col(Invoice.id))
    )
    if number is not None:
        named = select(Invoice).where(Invoice.number == number)
        row = session.exec(named.with_for_update() if lock else named).first()
        if row is None:
            return []
        query = query.where(Invoice.customer_id == row.customer_id, Invoice.currency == row.currency)
    return [
        DocumentRow(
            id=invoice.id or 0,
            number=invoice.number or "",
            kind=invoice.kind,
            customer_id=invoice.customer_id,
            currency=invoice.currency,
            minor_digits=invoice.minor_digits,
            gross_minor=invoice.gross_minor,
            issued_on=invoice.issued_on,
            due_on=invoice.due_on,
            corrects=tuple(invoice.corrects),
            paid_minor=int(amount or 0),
        )
        for invoice, amount in session.exec(query)
    ]


def of_document(session: Session, invoice_id: int) -> Sequence[Payment]:
    """A document's payments, in the order of their days."""
    query = select(Payment).where(Payment.invoice_id == invoice_id).order_by(col(Payment.paid_on), col(Payment.id))
    return session.exec(query).all()


def taken_in_advance(session: Session, invoice_id: int) -> int:
    """What a document took of advances when it was issued, in minor units."""
    query = select(func.sum(Payment.amount_minor)).where(
        Payment.invoice_id == invoice_id, col(Payment.advance_id).is_not(None)
    )
    return int(session.exec(query).one() or 0)


def paid_too_early(session: Session) -> Sequence[tuple[str, str]]:
    """Documents with payments of a day before they were issued which come from no advance, with their references."""
    query = (
        select(Invoice.number, Payment.reference)
        .join(Payment, col(Payment.invoice_id) == col(Invoice.id))
        .where(col(Payment.paid_on) < col(Invoice.issued_on), col(Payment.advance_id).is_(None))
    )
    return [(number or "", reference) for number, reference in session.exec(query)]


def add(session: Session, payment: Payment) -> None:
    """Record a payment."""
    session.add(payment)
    session.flush()
    tell_paid(session, payment)
