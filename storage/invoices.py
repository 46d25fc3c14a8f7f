"""Reading what was issued: the list of invoices, one whole, its lines.

The law: everything here comes from frozen rows; amounts in minor units, quantities exact, ends of days exclusive.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from sqlmodel import Session, col, func, or_, select

from storage import payments
from storage.errors import StorageError
from storage.tables import Contract, Invoice, InvoiceLine, InvoiceVat

FETCH_LINES = 500
"""Lines held in memory at a time where they are streamed."""


class UnknownInvoice(StorageError):
    """No invoice has this number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceSummary:
    number: str
    kind: str
    purpose: str
    contract: str
    part: tuple[str, str]
    customer: str
    issued_on: date
    due_on: date
    currency: str
    minor_digits: int
    net_minor: int
    vat_minor: int
    gross_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineDocument:
    """A line as it was issued; `vat_rate` in percent, `unit_price` in major units, the period's end exclusive."""

    id: int
    position: int
    label: str
    subscription: str
    charge: str
    component: str
    group: Mapping[str, Any]
    period_starts_on: date
    period_ends_on: date
    adjustment: bool
    quantity: Fraction
    unit: str
    unit_code: str
    unit_price: Fraction
    vat_category: str
    vat_rate: Fraction
    net_minor: int
    object_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VatDocument:
    category: str
    rate: Fraction
    base_minor: int
    vat_minor: int
    exemption_reason: str | None
    exemption_code: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceDocument:
    """An invoice or credit note with its parties, lines and VAT; a draft has its name for a number."""

    number: str
    status: str
    kind: str
    purpose: str
    contract: str
    part: tuple[str, str]
    """The attribute that the contract is invoiced by and its value, or two empty texts."""
    seller: Mapping[str, Any]
    buyer: Mapping[str, Any]
    month_starts_on: date
    month_ends_on: date
    issued_on: date
    due_on: date
    currency: str
    minor_digits: int
    net_minor: int
    vat_minor: int
    gross_minor: int
    corrects: tuple[str, ...]
    reason: str
    """Why a credit note by hand was issued."""
    incomplete: tuple[Mapping[str, Any], ...]
    """Why its usage may be incomplete: reason, from, until (empty while it lasts), gaps."""
    lines: tuple[LineDocument, ...]
    vat: tuple[VatDocument, ...]
    prepaid_minor: int
    """What was paid in advance and taken when it was issued."""


def list_invoices(session: Session, *, status: str = "issued") -> list[InvoiceSummary]:
    """All issued invoices and credit notes (or all drafts), oldest first, then by number."""
    rows = session.exec(
        select(Invoice, Contract.name)
        .join(Contract, col(Contract.id) == col(Invoice.contract_id))
        .where(Invoice.status == status)
        .order_by(col(Invoice.month_starts_on), col(Invoice.kind).desc(), col(Invoice.id))
    )
    return [
        InvoiceSummary(
            number=name_of(invoice),
            kind=invoice.kind,
            purpose=invoice.purpose,
            contract=contract,
            part=(invoice.part_attribute, invoice.part),
            customer=str(invoice.buyer.get("name", invoice.buyer.get("reference", ""))),
            issued_on=invoice.issued_on,
            due_on=invoice.due_on,
            currency=invoice.currency,
            minor_digits=invoice.minor_digits,
            net_minor=invoice.net_minor,
            vat_minor=invoice.vat_minor,
            gross_minor=invoice.gross_minor,
        )
        for invoice, contract in rows
    ]


def in_order_of_issue(session: Session) -> list[str]:
    """The numbers of all issued invoices and credit notes, in the order in which they were made."""
    query = select(Invoice).where(Invoice.status == "issued").order_by(col(Invoice.id))
    return [name_of(invoice) for invoice in session.exec(query)]


def invoice_document(session: Session, number: str, *, lines_limit: int | None = None) -> InvoiceDocument:
    """The invoice of a number, with its first `lines_limit` lines when that is given. Raises UnknownInvoice."""
    invoice, contract = find_invoice(session, number)
    vat = session.exec(select(InvoiceVat).where(InvoiceVat.invoice_id == invoice.id))
    return InvoiceDocument(
        number=number,
        status=invoice.status,
        kind=invoice.kind,
        purpose=invoice.purpose,
        contract=contract,
        part=(invoice.part_attribute, invoice.part),
        seller=invoice.seller,
        buyer=invoice.buyer,
        month_starts_on=invoice.month_starts_on,
        month_ends_on=invoice.month_ends_on,
        issued_on=invoice.issued_on,
        due_on=invoice.due_on,
        currency=invoice.currency,
        minor_digits=invoice.minor_digits,
        net_minor=invoice.net_minor,
        vat_minor=invoice.vat_minor,
        gross_minor=invoice.gross_minor,
        corrects=tuple(invoice.corrects),
        reason=invoice.reason,
        incomplete=tuple(invoice.incomplete),
        lines=tuple(stream_lines(session, invoice, limit=lines_limit)),
        vat=tuple(
            VatDocument(
                category=total.category,
                rate=total.rate,
                base_minor=total.base_minor,
                vat_minor=total.vat_minor,
                exemption_reason=total.exemption_reason,
                exemption_code=total.exemption_code,
            )
            for total in sorted(vat, key=lambda total: (total.category, total.rate))
        ),
        prepaid_minor=payments.taken_in_advance(session, invoice.id or 0),
    )


def name_of(invoice: Invoice) -> str:
    """An invoice's number, or what a draft is called."""
    return invoice.number or invoice.draft_name or ""


def find_invoice(session: Session, number: str) -> tuple[Invoice, str]:
    """The stored invoice of a number, or the draft of a name, and its contract's name. Raises UnknownInvoice."""
    found = session.exec(
        select(Invoice, Contract.name)
        .join(Contract, col(Contract.id) == col(Invoice.contract_id))
        .where(or_(col(Invoice.number) == number, col(Invoice.draft_name) == number))
    ).first()
    if found is None:
        raise UnknownInvoice(f"no invoice has the number {number}; `metergate invoices list` shows those issued")
    return found[0], found[1]


def line_count(session: Session, number: str) -> int:
    """How many lines an invoice has."""
    invoice, _ = find_invoice(session, number)
    query = select(func.count()).select_from(InvoiceLine).where(InvoiceLine.invoice_id == invoice.id)
    return session.exec(query).one()


def stream_lines(
    session: Session, invoice: Invoice, *, limit: int | None = None
) -> Generator[LineDocument, None, None]:
    """The lines of an invoice by position, read as they are taken: a contract may ask for a line per object."""
    with session.connection().execute(
        select(InvoiceLine.__table__)  # type: ignore[attr-defined]  # SQLModel does not declare the table
        .where(col(InvoiceLine.invoice_id) == invoice.id)
        .order_by(col(InvoiceLine.position))
        .limit(limit)
        .execution_options(yield_per=FETCH_LINES)
    ) as lines:
        yield from map(_line, lines)


def _line(line: Any) -> LineDocument:
    return LineDocument(
        id=line.id,
        position=line.position,
        label=line.label,
        subscription=line.subscription_name,
        charge=line.charge_name,
        component=line.component,
        group=line.group_values,
        period_starts_on=line.period_starts_on,
        period_ends_on=line.period_ends_on,
        adjustment=bool(line.adjustment),
        quantity=line.quantity,
        unit=line.unit,
        unit_code=line.unit_code,
        unit_price=line.unit_price,
        vat_category=line.vat_category,
        vat_rate=line.vat_rate,
        net_minor=line.net_minor,
        object_count=line.object_count,
    )


def numbers_of_month(session: Session, month_starts_on: date) -> list[str]:
    """The numbers issued for a billing month, invoices first, each kind in its order."""
    rows = session.exec(
        select(Invoice.number)
        .where(Invoice.month_starts_on == month_starts_on, Invoice.status == "issued")
        .order_by(col(Invoice.kind).desc(), col(Invoice.number))
    )
    return [number for number in rows if number is not None]
