"""Reading what was issued: documents, their detail streamed, and the way from a line down to its usage records.

The law: everything here comes from frozen rows; amounts in minor units, quantities exact, ends of days exclusive.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, select

from storage.errors import StorageError
from storage.tables import (
    BoundaryValue,
    ConnectedObject,
    Contract,
    Invoice,
    InvoiceLine,
    InvoiceVat,
    InvoicingSchedule,
    LineShare,
    Metric,
)
from storage.types import DAY_MICROS, from_micros, to_micros

FETCH_ROWS = 1000
"""Detail rows held in memory at a time."""


class UnknownInvoice(StorageError):
    """No invoice has this number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceSummary:
    number: str
    kind: str
    contract: str
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


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceDocument:
    """An issued invoice or credit note with its frozen parties, lines and VAT."""

    number: str
    kind: str
    contract: str
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
    lines: tuple[LineDocument, ...]
    vat: tuple[VatDocument, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailRow:
    """What one schedule put on one line."""

    line: int
    schedule_id: int
    object_id: int | None
    metric_id: int | None
    reference: str
    subscription: str
    charge: str
    component: str
    starts_on: date
    ends_on: date
    start_at: datetime
    end_at: datetime
    adjustment: bool
    quantity: Fraction
    unit: str
    unit_price: Fraction
    amount: Fraction
    share_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRow:
    """A usage record behind a schedule; `quantity` in the metric's unit."""

    occurred_at: datetime
    received_at: datetime
    metric: str
    unit: str
    quantity: Fraction
    discriminator: str
    origin: str
    batch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedShare:
    """One schedule's share with its records; `opening` and `closing` are the register's values, if it has one."""

    detail: DetailRow
    opening: Fraction | None
    closing: Fraction | None
    records: tuple[RecordRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedLine:
    line: LineDocument
    shares: tuple[ExplainedShare, ...]


def list_invoices(session: Session) -> list[InvoiceSummary]:
    """All issued invoices and credit notes, oldest first, then by number."""
    rows = session.exec(
        select(Invoice, Contract.name)
        .join(Contract, col(Contract.id) == col(Invoice.contract_id))
        .where(Invoice.status == "issued")
        .order_by(col(Invoice.month_starts_on), col(Invoice.kind).desc(), col(Invoice.id))
    )
    return [
        InvoiceSummary(
            number=invoice.number or "",
            kind=invoice.kind,
            contract=contract,
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


def invoice_document(session: Session, number: str) -> InvoiceDocument:
    """The invoice of a number. Raises UnknownInvoice."""
    invoice, contract = _find(session, number)
    lines = session.exec(
        select(InvoiceLine).where(InvoiceLine.invoice_id == invoice.id).order_by(col(InvoiceLine.position))
    )
    vat = session.exec(select(InvoiceVat).where(InvoiceVat.invoice_id == invoice.id))
    return InvoiceDocument(
        number=number,
        kind=invoice.kind,
        contract=contract,
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
        lines=tuple(_line(line) for line in lines),
        vat=tuple(
            VatDocument(
                category=total.category, rate=total.rate, base_minor=total.base_minor, vat_minor=total.vat_minor
            )
            for total in sorted(vat, key=lambda total: (total.category, total.rate))
        ),
    )


def _find(session: Session, number: str) -> tuple[Invoice, str]:
    found = session.exec(
        select(Invoice, Contract.name)
        .join(Contract, col(Contract.id) == col(Invoice.contract_id))
        .where(Invoice.number == number)
    ).first()
    if found is None:
        raise UnknownInvoice(f"no invoice has the number {number}; `metergate invoices list` shows those issued")
    return found[0], found[1]


def _line(line: InvoiceLine) -> LineDocument:
    return LineDocument(
        id=line.id or 0,
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


def detail_rows(session: Session, number: str) -> Iterator[DetailRow]:
    """A row per line and schedule, by line then object, streamed. Raises UnknownInvoice."""
    invoice, _ = _find(session, number)
    rows = session.exec(
        select(LineShare, InvoiceLine, InvoicingSchedule, ConnectedObject.reference)
        .join(InvoiceLine, col(InvoiceLine.id) == col(LineShare.line_id))
        .join(InvoicingSchedule, col(InvoicingSchedule.id) == col(LineShare.schedule_id))
        .outerjoin(ConnectedObject, col(ConnectedObject.id) == col(InvoicingSchedule.object_id))
        .where(InvoiceLine.invoice_id == invoice.id)
        .order_by(col(InvoiceLine.position), col(ConnectedObject.reference), col(LineShare.schedule_id))
        .execution_options(yield_per=FETCH_ROWS)
    )
    for share, line, schedule, reference in rows:
        yield DetailRow(
            line=line.position,
            schedule_id=share.schedule_id,
            object_id=schedule.object_id,
            metric_id=schedule.metric_id,
            reference=reference or "",
            subscription=line.subscription_name,
            charge=line.charge_name,
            component=line.component,
            starts_on=schedule.starts_on,
            ends_on=schedule.ends_on,
            start_at=schedule.start_at,
            end_at=schedule.end_at,
            adjustment=bool(line.adjustment),
            quantity=share.quantity,
            unit=line.unit,
            unit_price=line.unit_price,
            amount=share.amount,
            share_minor=share.share_minor,
        )


def records_behind(session: Session, detail: DetailRow) -> Iterator[RecordRow]:
    """The usage records of a schedule's object, metric and period, in order of time; none for a fee.

    The days come from the rollup, so that only days with usage are read from the facts.
    """
    if detail.object_id is None or detail.metric_id is None:
        return
    metric = session.exec(select(Metric).where(Metric.id == detail.metric_id)).one()
    start, end = to_micros(detail.start_at), to_micros(detail.end_at)
    names = {"object_id": detail.object_id, "metric_id": detail.metric_id}
    days = (
        session.connection()
        .execute(
            text(
                "SELECT first_at, last_at FROM usage_rollup WHERE object_id = :object_id AND metric_id = :metric_id "
                "AND day >= :first_day AND day <= :last_day ORDER BY day"
            ),
            {**names, "first_day": start // DAY_MICROS, "last_day": end // DAY_MICROS},
        )
        .all()
    )
    for first_at, last_at in days:
        rows = session.connection().execute(
            text(
                "SELECT occurred_at, received_at, quantity, discriminator, origin, batch FROM usage_record "
                "WHERE occurred_at >= :start AND occurred_at < :end AND object_id = :object_id "
                "AND metric_id = :metric_id ORDER BY occurred_at, discriminator"
            ),
            {**names, "start": max(start, first_at), "end": min(end, last_at + 1)},
        )
        for occurred_at, received_at, quantity, discriminator, origin, batch in rows:
            yield RecordRow(
                occurred_at=from_micros(occurred_at),
                received_at=from_micros(received_at),
                metric=metric.name,
                unit=metric.unit,
                quantity=Fraction(quantity, 10**metric.decimals),
                discriminator=discriminator,
                origin=origin,
                batch=batch,
            )


def explain(session: Session, number: str) -> tuple[ExplainedLine, ...]:
    """Each line of an invoice, its schedules, and the usage records behind each. Raises UnknownInvoice.

    A record that arrived after the invoice is shown too, with its batch: the next invoice adjusts for it.
    """
    document = invoice_document(session, number)
    shares: dict[int, list[ExplainedShare]] = {}
    for detail in list(detail_rows(session, number)):
        opening, closing = (_register(session, detail, at) for at in (detail.start_at, detail.end_at))
        shares.setdefault(detail.line, []).append(
            ExplainedShare(
                detail=detail, opening=opening, closing=closing, records=tuple(records_behind(session, detail))
            )
        )
    return tuple(ExplainedLine(line=line, shares=tuple(shares.get(line.position, ()))) for line in document.lines)


def _register(session: Session, detail: DetailRow, at: datetime) -> Fraction | None:
    if detail.object_id is None or detail.metric_id is None:
        return None
    found = session.exec(
        select(BoundaryValue.quantity, Metric.decimals)
        .join(Metric, col(Metric.id) == col(BoundaryValue.metric_id))
        .where(
            BoundaryValue.object_id == detail.object_id,
            BoundaryValue.metric_id == detail.metric_id,
            BoundaryValue.at == at,
        )
    ).first()
    return None if found is None else Fraction(found[0], 10 ** found[1])
