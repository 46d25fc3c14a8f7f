"""What the accounting takes over of a month: documents by the day they bear, payments and advances by theirs."""

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import Date, bindparam, text
from sqlmodel import Session, col, select

from storage.sets import batched
from storage.tables import Advance, Charge, Contract, Customer, Invoice, InvoiceVat, Payment

INVOICES_AT_ONCE = 500
LINES = """
    SELECT l.invoice_id, l.net_minor,
           (SELECT s.charge_id FROM line_share h JOIN invoicing_schedule s ON s.id = h.schedule_id
            WHERE h.line_id = COALESCE(l.credits_line_id, l.id) LIMIT 1)
    FROM invoice_line l JOIN invoice i ON i.id = l.invoice_id
    WHERE i.status = 'issued' AND i.issued_on >= :first AND i.issued_on < :end
    ORDER BY l.invoice_id, l.position
"""


class LineRow(NamedTuple):
    """A line with the charge that it is of, if it is of one (a coupon is not)."""

    invoice_id: int
    net_minor: int
    charge_id: int | None


def documents(session: Session, first: date, end: date) -> Sequence[Invoice]:
    """What was issued with a day in `[first, end)`, in the order of days and numbers."""
    query = select(Invoice).where(
        Invoice.status == "issued", col(Invoice.issued_on) >= first, col(Invoice.issued_on) < end
    )
    return session.exec(query.order_by(col(Invoice.issued_on), col(Invoice.number))).all()


def lines(session: Session, first: date, end: date) -> list[LineRow]:
    """The lines of those documents."""
    statement = text(LINES).bindparams(bindparam("first", type_=Date), bindparam("end", type_=Date))
    return [LineRow(*row) for row in session.connection().execute(statement, {"first": first, "end": end})]


def vat(session: Session, invoice_ids: Sequence[int]) -> list[InvoiceVat]:
    """The VAT of documents, by category and rate."""
    return [
        row
        for some in batched(invoice_ids, INVOICES_AT_ONCE)
        for row in session.exec(
            select(InvoiceVat)
            .where(col(InvoiceVat.invoice_id).in_(some))
            .order_by(col(InvoiceVat.invoice_id), col(InvoiceVat.category), col(InvoiceVat.rate))
        )
    ]


def accounts_of_charges(session: Session) -> dict[int, str]:
    """The accounts that charges name themselves, by their ids."""
    found: dict[int, Any] = {
        key or 0: definition.get("account") for key, definition in session.exec(select(Charge.id, Charge.definition))
    }
    return {key: str(account) for key, account in found.items() if account}


def payments(session: Session, first: date, end: date) -> Sequence[tuple[Payment, Invoice]]:
    """Payments of a span of days, each with its document."""
    query = (
        select(Payment, Invoice)
        .join(Invoice, col(Invoice.id) == col(Payment.invoice_id))
        .where(col(Payment.paid_on) >= first, col(Payment.paid_on) < end)
        .order_by(col(Payment.paid_on), col(Payment.id))
    )
    return session.exec(query).all()


def advances(session: Session, first: date, end: date) -> Sequence[tuple[Advance, Contract, Customer]]:
    """Advances that came in a span of days, each with its contract and customer."""
    query = (
        select(Advance, Contract, Customer)
        .join(Contract, col(Contract.id) == col(Advance.contract_id))
        .join(Customer, col(Customer.id) == col(Contract.customer_id))
        .where(col(Advance.paid_on) >= first, col(Advance.paid_on) < end)
        .order_by(col(Advance.paid_on), col(Advance.id))
    )
    return session.exec(query).all()
