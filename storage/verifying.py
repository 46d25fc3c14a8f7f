"""The SQL of the verification: whole tables read once, in one snapshot, and nothing taken from a stored total."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from sqlalchemy import select, text
from sqlmodel import Session, col

from storage import events
from storage.sets import HALF
from storage.tables import (
    Charge,
    ConnectedObject,
    ContractItem,
    Invoice,
    InvoiceLine,
    InvoiceVat,
    InvoicingSchedule,
    LineShare,
    Metric,
    NumberSeries,
)
from storage.usage import NOT_REVERSED, SAME_RECORD

ROWS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceRow:
    id: int
    number: str
    kind: str
    purpose: str
    credits_id: int | None
    issued_on: date
    minor_digits: int
    net_minor: int
    vat_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRow:
    id: int
    invoice_id: int
    position: int
    vat_category: str
    vat_rate: Fraction
    amount: Fraction
    net_minor: int
    credits_line_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VatRow:
    invoice_id: int
    category: str
    rate: Fraction
    base_minor: int
    vat_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRow:
    line_id: int
    schedule_id: int
    amount: Fraction
    share_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRow:
    """A schedule with its charge; `metric_kind` and `metric_decimals` are None for a fee."""

    id: int
    contract_item_id: int | None
    object_id: int | None
    metric_id: int | None
    charge_id: int
    reference: str | None
    charge: str
    definition: Mapping[str, Any]
    metric_kind: str | None
    metric_decimals: int | None
    starts_on: date
    ends_on: date
    start_at: datetime
    end_at: datetime
    status: str
    revalue: int
    quantity: Fraction
    amount: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRow:
    id: int
    name: str
    object_id: int
    subscription_id: int
    plan_version_id: int
    status: str
    starts_on: date
    ends_on: date
    start_at: datetime
    end_at: datetime
    term_starts_on: date | None
    fees_until: date | None
    follows_id: int | None


def _rows(session: Session, query: Any) -> Iterator[dict[str, Any]]:
    result = session.connection().execute(query, execution_options={"yield_per": ROWS_AT_ONCE})
    for row in result.mappings():
        yield dict(row)


def invoices(session: Session) -> Iterator[InvoiceRow]:
    """Issued invoices and credit notes, in order of number."""
    table = (
        col(Invoice.id),
        col(Invoice.number),
        col(Invoice.kind),
        col(Invoice.purpose),
        col(Invoice.credits_id),
        col(Invoice.issued_on),
        col(Invoice.minor_digits),
        col(Invoice.net_minor),
        col(Invoice.vat_minor),
    )
    query = select(*table).where(col(Invoice.status) == "issued").order_by(col(Invoice.number))
    return (InvoiceRow(**row) for row in _rows(session, query))


def lines(session: Session) -> Iterator[LineRow]:
    """The lines of all invoices."""
    table = (
        col(InvoiceLine.id),
        col(InvoiceLine.invoice_id),
        col(InvoiceLine.position),
        col(InvoiceLine.vat_category),
        col(InvoiceLine.vat_rate),
        col(InvoiceLine.amount),
        col(InvoiceLine.net_minor),
        col(InvoiceLine.credits_line_id),
    )
    query = select(*table).order_by(col(InvoiceLine.invoice_id), col(InvoiceLine.position))
    return (LineRow(**row) for row in _rows(session, query))


def vat(session: Session) -> Iterator[VatRow]:
    """The stored VAT of all invoices."""
    table = (
        col(InvoiceVat.invoice_id),
        col(InvoiceVat.category),
        col(InvoiceVat.rate),
        col(InvoiceVat.base_minor),
        col(InvoiceVat.vat_minor),
    )
    return (VatRow(**row) for row in _rows(session, select(*table)))


def shares(session: Session) -> Iterator[ShareRow]:
    """The shares of all lines."""
    table = (col(LineShare.line_id), col(LineShare.schedule_id), col(LineShare.amount), col(LineShare.share_minor))
    return (ShareRow(**row) for row in _rows(session, select(*table)))


def series(session: Session) -> dict[str, int]:
    """The last number given, by series."""
    query = select(col(NumberSeries.name), col(NumberSeries.last_number))
    return {row["name"]: row["last_number"] for row in _rows(session, query)}


def schedules(session: Session) -> Iterator[ScheduleRow]:
    """All schedules, in order of contract item, charge and start."""
    table: tuple[Any, ...] = (
        col(InvoicingSchedule.id),
        col(InvoicingSchedule.contract_item_id),
        col(InvoicingSchedule.object_id),
        col(InvoicingSchedule.metric_id),
        col(InvoicingSchedule.charge_id),
        col(ConnectedObject.reference),
        col(Charge.name).label("charge"),
        col(Charge.definition),
        col(Metric.kind).label("metric_kind"),
        col(Metric.decimals).label("metric_decimals"),
        col(InvoicingSchedule.starts_on),
        col(InvoicingSchedule.ends_on),
        col(InvoicingSchedule.start_at),
        col(InvoicingSchedule.end_at),
        col(InvoicingSchedule.status),
        col(InvoicingSchedule.revalue),
        col(InvoicingSchedule.quantity),
        col(InvoicingSchedule.amount),
    )
    query = (
        select(*table)
        .join(Charge, col(Charge.id) == col(InvoicingSchedule.charge_id))
        .outerjoin(ConnectedObject, col(ConnectedObject.id) == col(InvoicingSchedule.object_id))
        .outerjoin(Metric, col(Metric.id) == col(InvoicingSchedule.metric_id))
        .order_by(
            col(InvoicingSchedule.contract_item_id), col(InvoicingSchedule.charge_id), col(InvoicingSchedule.starts_on)
        )
    )
    return (ScheduleRow(**row) for row in _rows(session, query))


def items(session: Session) -> Iterator[ItemRow]:
    """All contract items."""
    table = (
        col(ContractItem.id),
        col(ContractItem.name),
        col(ContractItem.object_id),
        col(ContractItem.subscription_id),
        col(ContractItem.plan_version_id),
        col(ContractItem.status),
        col(ContractItem.starts_on),
        col(ContractItem.ends_on),
        col(ContractItem.start_at),
        col(ContractItem.end_at),
        col(ContractItem.term_starts_on),
        col(ContractItem.fees_until),
        col(ContractItem.follows_id),
    )
    return (ItemRow(**row) for row in _rows(session, select(*table).order_by(col(ContractItem.id))))


def tiled_charges(session: Session) -> dict[int, dict[int, tuple[str, str, int]]]:
    """By plan version and charge id, its name, type and days of trial: what items owe from the trial's end on."""
    query = select(
        col(Charge.plan_version_id), col(Charge.id), col(Charge.name), col(Charge.type), col(Charge.definition)
    ).where(col(Charge.type).in_(("recurring", "usage", "event", "commitment")), col(Charge.scope) == "item")
    found: dict[int, dict[int, tuple[str, str, int]]] = {}
    for row in _rows(session, query):
        trial_days = int(row["definition"].get("trial_days") or 0)
        found.setdefault(row["plan_version_id"], {})[row["id"]] = (row["name"], row["type"], trial_days)
    return found


def event_counts(session: Session) -> dict[int, int]:
    """By schedule of an event charge, how many events of its kind its object had in its period."""
    found: dict[int, int] = {}
    for charge in session.execute(select(col(Charge.id), col(Charge.definition)).where(col(Charge.type) == "event")):
        query = select(col(InvoicingSchedule.id)).where(col(InvoicingSchedule.charge_id) == charge.id)
        ids = list(session.execute(query).scalars())
        found.update(events.counts(session, kind=charge.definition["event"], schedule_ids=ids))
    return found


def boundaries(session: Session) -> dict[tuple[int, int, int], int]:
    """Every stored register value, by object, metric and microseconds."""
    rows = session.connection().execute(text("SELECT object_id, metric_id, at, quantity FROM boundary_value"))
    return {(object_id, metric_id, at): quantity for object_id, metric_id, at, quantity in rows}


def last_record(session: Session) -> int | None:
    """The instant of the last usage record (microseconds)."""
    found: int | None = session.connection().execute(text("SELECT MAX(occurred_at) FROM usage_record")).scalar()
    return found


def delta_sums(session: Session) -> dict[int, int]:
    """By schedule of a delta metric, its records that the contract's last close saw, added up; scaled integers.

    It walks the facts and seeks each one's schedules, which CROSS JOIN tells SQLite to do in this order.
    """
    rows = session.connection().execute(
        text(f"""
        SELECT s.id, SUM(u.quantity / {HALF}), SUM(u.quantity % {HALF})
        FROM usage_record u CROSS JOIN invoicing_schedule s
        JOIN metric k ON k.id = u.metric_id AND k.kind = 'delta'
        JOIN (SELECT contract_id, MAX(usage_mark) AS mark FROM billing_month GROUP BY contract_id) m
             ON m.contract_id = s.contract_id
        WHERE s.object_id = u.object_id AND s.metric_id = u.metric_id
          AND s.start_at <= u.occurred_at AND s.end_at > u.occurred_at AND u.batch <= m.mark
          AND NOT EXISTS (SELECT 1 FROM usage_reversal AS x WHERE {SAME_RECORD} AND x.batch <= m.mark)
        GROUP BY s.id
        """)
    )
    return {schedule_id: int(high) * HALF + int(low) for schedule_id, high, low in rows}


def records_outside_items(session: Session) -> tuple[int, int]:
    """How many usage records no contract item covers, and of how many objects."""
    row = (
        session.connection()
        .execute(
            text(
                "SELECT COUNT(*), COUNT(DISTINCT u.object_id) FROM usage_record u WHERE "
                f"{NOT_REVERSED} AND NOT EXISTS (SELECT 1 FROM contract_item i WHERE i.object_id = u.object_id "
                "AND i.status != 'cancelled' AND i.start_at <= u.occurred_at AND i.end_at > u.occurred_at)"
            )
        )
        .one()
    )
    return int(row[0]), int(row[1])
