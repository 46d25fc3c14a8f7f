"""The SQL of the close: what is due, what was used, what was charged, and the rows that a closed month leaves.

The law: a close reads one snapshot and writes as many rows as there are schedules, never as many as usage records.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import Any, TypeVar

from sqlalchemy import bindparam, insert, or_, text, tuple_, update
from sqlmodel import Session, col, select

from storage.tables import (
    BillingMonth,
    BoundaryValue,
    Charge,
    ConnectedObject,
    Contract,
    ContractItem,
    Customer,
    IngestCounter,
    Invoice,
    InvoiceLine,
    InvoiceVat,
    InvoicingSchedule,
    LineShare,
    Metric,
    Seller,
    Subscription,
    Suspension,
)
from storage.types import DAY_MICROS, to_micros

CHUNK = 5000
"""Ids in one statement: below the 32,766 values of SQLite and the 65,535 of PostgreSQL."""
HALF = 10**9
"""Sums are added up in two halves, so that no 64-bit sum can overflow, and put together in Python."""

Key = tuple[int, int]
"""Object id, metric id."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractToClose:
    id: int
    name: str
    currency: str
    timezone: str
    starts_on: date
    grouping: tuple[str, ...]
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleToValue:
    """A schedule with the names that its line needs.

    It is `void` when nothing of it is owed: cancelled, or wholly after the end of its contract item.
    """

    id: int
    status: str
    void: bool
    contract_item_id: int | None
    object_id: int | None
    metric_id: int | None
    charge_id: int
    reference: str
    attributes: Mapping[str, Any]
    subscription: str
    starts_on: date
    ends_on: date
    nominal_starts_on: date
    nominal_ends_on: date
    start_at: datetime
    end_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Records of one object and metric over a window; scaled integers, instants in microseconds."""

    count: int
    total: int
    top: int
    first_at: int
    first: int
    last_at: int
    last: int


def batched(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The values in runs of at most `size`."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def merged(parts: Iterable[Measured | None]) -> Measured | None:
    """Several windows as one; None when none of them has a record."""
    present = [part for part in parts if part is not None]
    if not present:
        return None
    first = min(present, key=lambda part: part.first_at)
    last = max(present, key=lambda part: part.last_at)
    return Measured(
        count=sum(part.count for part in present),
        total=sum(part.total for part in present),
        top=max(part.top for part in present),
        first_at=first.first_at,
        first=first.first,
        last_at=last.last_at,
        last=last.last,
    )


# --- reading, in one snapshot ------------------------------------------------------------------------------


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
    )


def last_closed(session: Session, contract_id: int) -> date | None:
    """First day of the contract's last closed month."""
    return session.exec(
        select(col(BillingMonth.month_starts_on))
        .where(BillingMonth.contract_id == contract_id)
        .order_by(col(BillingMonth.month_starts_on).desc())
        .limit(1)
    ).first()


def usage_mark(session: Session) -> int:
    """The last ingest batch in this snapshot."""
    return session.exec(select(IngestCounter.last_batch)).first() or 0


def late_schedules(session: Session) -> dict[int, list[int]]:
    """By contract, the charged schedules whose days were touched by a batch above the contract's last mark.

    One walk over the rollup rows above the lowest mark, whatever the number of contracts.
    """
    rows = session.connection().execute(
        text(f"""
        WITH mark AS (SELECT contract_id, MAX(usage_mark) AS mark FROM billing_month GROUP BY contract_id)
        SELECT DISTINCT s.contract_id, s.id
        FROM usage_rollup r
        JOIN invoicing_schedule s ON s.object_id = r.object_id AND s.metric_id = r.metric_id
             AND s.start_at < (r.day + 1) * {DAY_MICROS} AND s.end_at > r.day * {DAY_MICROS}
        JOIN mark m ON m.contract_id = s.contract_id
        WHERE r.batch > (SELECT MIN(mark) FROM mark) AND r.batch > m.mark AND s.status IN ('invoiced', 'settled')
        """)
    )
    found: dict[int, list[int]] = {}
    for contract_id, schedule_id in rows:
        found.setdefault(contract_id, []).append(schedule_id)
    return found


def schedules_to_value(
    session: Session, *, contract_id: int, due_through: date, late: Sequence[int]
) -> list[ScheduleToValue]:
    """What is planned and due by a day, marked for revaluation, or late; in order of start, then id."""
    open_or_marked = or_(
        (col(InvoicingSchedule.status).in_(("planned", "valued"))) & (col(InvoicingSchedule.due_on) <= due_through),
        (col(InvoicingSchedule.revalue) == 1) & col(InvoicingSchedule.status).in_(("invoiced", "settled", "cancelled")),
    )
    query = (
        select(InvoicingSchedule, Subscription.name, ConnectedObject, col(ContractItem.ends_on))
        .join(Subscription, col(Subscription.id) == col(InvoicingSchedule.subscription_id))
        .outerjoin(ConnectedObject, col(ConnectedObject.id) == col(InvoicingSchedule.object_id))
        .outerjoin(ContractItem, col(ContractItem.id) == col(InvoicingSchedule.contract_item_id))
        .where(InvoicingSchedule.contract_id == contract_id)
    )
    found: dict[int, ScheduleToValue] = {}
    conditions = [open_or_marked, *(col(InvoicingSchedule.id).in_(ids) for ids in batched(late, CHUNK))]
    for condition in conditions:
        for schedule, subscription, connected, item_ends_on in session.exec(query.where(condition)):
            schedule_id = schedule.id or 0
            found[schedule_id] = ScheduleToValue(
                id=schedule_id,
                status=schedule.status,
                void=schedule.status == "cancelled"
                or (item_ends_on is not None and item_ends_on <= schedule.starts_on),
                contract_item_id=schedule.contract_item_id,
                object_id=schedule.object_id,
                metric_id=schedule.metric_id,
                charge_id=schedule.charge_id,
                reference=connected.reference if connected else "",
                attributes=connected.attributes if connected else {},
                subscription=subscription,
                starts_on=schedule.starts_on,
                ends_on=schedule.ends_on,
                nominal_starts_on=schedule.nominal_starts_on,
                nominal_ends_on=schedule.nominal_ends_on,
                start_at=schedule.start_at,
                end_at=schedule.end_at,
            )
    session.expunge_all()
    return sorted(found.values(), key=lambda schedule: (schedule.start_at, schedule.id))


def charges(session: Session, ids: Iterable[int]) -> dict[int, Charge]:
    """Charges by id."""
    return {row.id: row for row in _in_chunks(session, ids, Charge, Charge.id) if row.id is not None}


def metrics(session: Session) -> dict[int, Metric]:
    """All metrics by id."""
    return {row.id: row for row in session.exec(select(Metric)) if row.id is not None}


def suspensions(session: Session, item_ids: Iterable[int]) -> dict[int, list[tuple[date, date | None]]]:
    """Suspended local days by contract item."""
    found: dict[int, list[tuple[date, date | None]]] = {}
    for row in _in_chunks(session, item_ids, Suspension, Suspension.contract_item_id):
        found.setdefault(row.contract_item_id, []).append((row.starts_on, row.ends_on))
    return found


def _in_chunks(session: Session, ids: Iterable[int], table: type[T], column: Any) -> Iterator[T]:
    for chunk in batched(sorted(set(ids)), CHUNK):
        yield from session.exec(select(table).where(col(column).in_(chunk)))


def _text_chunks(session: Session, sql: str, ids: Iterable[int]) -> Iterator[Any]:
    statement = text(sql).bindparams(bindparam("ids", expanding=True))
    for chunk in batched(sorted(set(ids)), CHUNK):
        yield from session.connection().execute(statement, {"ids": list(chunk)})


def whole_days(session: Session, schedule_ids: Iterable[int]) -> dict[int, Measured]:
    """By schedule, the rollup over the whole UTC days inside `[start_at, end_at)`."""
    rows = _text_chunks(
        session,
        f"""
        SELECT t.id, t.n, t.high, t.low, t.top, f.first_at, f.first_quantity, l.last_at, l.last_quantity
        FROM (
            SELECT s.id, s.object_id, s.metric_id, SUM(r.record_count) AS n, SUM(r.quantity_sum / {HALF}) AS high,
                   SUM(r.quantity_sum % {HALF}) AS low, MAX(r.quantity_max) AS top,
                   MIN(r.day) AS first_day, MAX(r.day) AS last_day
            FROM invoicing_schedule s
            JOIN usage_rollup r ON r.object_id = s.object_id AND r.metric_id = s.metric_id
                 AND r.day >= (s.start_at + {DAY_MICROS - 1}) / {DAY_MICROS} AND r.day < s.end_at / {DAY_MICROS}
            WHERE s.id IN :ids
            GROUP BY s.id, s.object_id, s.metric_id
        ) t
        JOIN usage_rollup f ON f.object_id = t.object_id AND f.metric_id = t.metric_id AND f.day = t.first_day
        JOIN usage_rollup l ON l.object_id = t.object_id AND l.metric_id = t.metric_id AND l.day = t.last_day
        """,
        ids=schedule_ids,
    )
    return {
        schedule_id: Measured(
            count=int(n),
            total=int(high) * HALF + int(low),
            top=top,
            first_at=first_at,
            first=first,
            last_at=last_at,
            last=last,
        )
        for schedule_id, n, high, low, top, first_at, first, last_at, last in rows
    }


def top_before(session: Session, schedule_ids: Iterable[int]) -> dict[int, int]:
    """By schedule, the highest reading on the whole UTC days before its start: what its register stood at."""
    rows = _text_chunks(
        session,
        f"""
        SELECT s.id, MAX(r.quantity_max) FROM invoicing_schedule s
        JOIN usage_rollup r ON r.object_id = s.object_id AND r.metric_id = s.metric_id
             AND r.day < s.start_at / {DAY_MICROS}
        WHERE s.id IN :ids GROUP BY s.id
        """,
        ids=schedule_ids,
    )
    return dict(tuple(row) for row in rows)


def window(session: Session, *, start: int, end: int) -> dict[Key, Measured]:
    """All usage in `[start, end)` (microseconds), read from the records: the parts of days that no rollup has."""
    bounds = {"start": start, "end": end}
    connection = session.connection()
    ends: dict[tuple[int, int, int], list[int]] = {}
    grouped = f"""
        SELECT object_id, metric_id, COUNT(*) AS n, SUM(quantity / {HALF}) AS high, SUM(quantity % {HALF}) AS low,
               MAX(quantity) AS top, MIN(occurred_at) AS first_at, MAX(occurred_at) AS last_at
        FROM usage_record WHERE occurred_at >= :start AND occurred_at < :end GROUP BY object_id, metric_id
    """
    edges = text(f"""
        SELECT u.object_id, u.metric_id, u.occurred_at, u.quantity
        FROM usage_record u JOIN ({grouped}) g ON g.object_id = u.object_id AND g.metric_id = u.metric_id
        WHERE u.occurred_at >= :start AND u.occurred_at < :end
          AND (u.occurred_at = g.first_at OR u.occurred_at = g.last_at)
    """)
    for object_id, metric_id, at, quantity in connection.execute(edges, bounds):
        ends.setdefault((object_id, metric_id, at), []).append(quantity)
    return {
        (object_id, metric_id): Measured(
            count=n,
            total=int(high) * HALF + int(low),
            top=top,
            first_at=first_at,
            first=min(ends[object_id, metric_id, first_at]),
            last_at=last_at,
            last=max(ends[object_id, metric_id, last_at]),
        )
        for object_id, metric_id, n, high, low, top, first_at, last_at in connection.execute(text(grouped), bounds)
    }


def boundaries(session: Session, wanted: Iterable[tuple[int, int, datetime]]) -> dict[tuple[int, int, int], int]:
    """Stored register values at (object, metric, instant), keyed with the instant in microseconds."""
    keys = sorted(set(wanted))
    found: dict[tuple[int, int, int], int] = {}
    by = tuple_(col(BoundaryValue.object_id), col(BoundaryValue.metric_id), col(BoundaryValue.at))
    for chunk in batched(keys, 500):
        for row in session.exec(select(BoundaryValue).where(by.in_(chunk))):
            found[row.object_id, row.metric_id, to_micros(row.at)] = row.quantity
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Charged:
    """One component that an invoice charged for a schedule; of a credit note with its sign turned back."""

    schedule_id: int
    component: str
    unit_price: Fraction
    quantity: Fraction
    amount: Fraction
    number: str
    kind: str


def charged(session: Session, schedule_ids: Iterable[int]) -> dict[int, list[Charged]]:
    """By schedule, everything that issued invoices and credit notes have charged, in order of line."""
    found: dict[int, list[Charged]] = {}
    for chunk in batched(sorted(set(schedule_ids)), CHUNK):
        rows = session.exec(
            select(LineShare, InvoiceLine, Invoice)
            .join(InvoiceLine, col(InvoiceLine.id) == col(LineShare.line_id))
            .join(Invoice, col(Invoice.id) == col(InvoiceLine.invoice_id))
            .where(col(LineShare.schedule_id).in_(chunk), Invoice.status == "issued")
            .order_by(col(LineShare.line_id))
        )
        for share, line, invoice in rows:
            sign = -1 if invoice.kind == "credit_note" else 1
            found.setdefault(share.schedule_id, []).append(
                Charged(
                    schedule_id=share.schedule_id,
                    component=line.component,
                    unit_price=line.unit_price,
                    quantity=sign * share.quantity,
                    amount=sign * share.amount,
                    number=invoice.number or "",
                    kind=invoice.kind,
                )
            )
    session.expunge_all()
    return found


def parties(session: Session, contract_id: int) -> tuple[Contract, Customer, Seller | None]:
    """The contract, its customer and the seller, to be frozen onto an invoice."""
    row = session.exec(
        select(Contract, Customer)
        .join(Customer, col(Customer.id) == col(Contract.customer_id))
        .where(Contract.id == contract_id)
    ).one()
    return row[0], row[1], session.exec(select(Seller)).first()


# --- writing, in one transaction ---------------------------------------------------------------------------


def claim(session: Session, *, contract_id: int, revision: int) -> bool:
    """Raise the contract's revision if it is still the one planned on; False when it has changed. Locks the row."""
    result = session.connection().execute(
        update(Contract)
        .where(col(Contract.id) == contract_id, col(Contract.revision) == revision)
        .values(revision=revision + 1)
    )
    return result.rowcount == 1


def next_number(session: Session, series: str) -> int:
    """The next number of a series; its row stays locked until the end of the transaction."""
    return int(
        session.connection().scalar(
            text(
                "INSERT INTO number_series (name, last_number) VALUES (:name, 1) ON CONFLICT (name) "
                "DO UPDATE SET last_number = number_series.last_number + 1 RETURNING last_number"
            ),
            {"name": series},
        )
    )


def close_month(session: Session, month: BillingMonth) -> None:
    """Remember that the month was closed, and up to which batch."""
    session.add(month)
    session.flush()


def store_boundaries(session: Session, values: Sequence[Mapping[str, Any]]) -> None:
    """Keep register values (object_id, metric_id, at in microseconds, quantity, quality); one that is kept stays."""
    if values:
        session.connection().execute(
            text(
                "INSERT INTO boundary_value (object_id, metric_id, at, quantity, quality) "
                "VALUES (:object_id, :metric_id, :at, :quantity, :quality) ON CONFLICT DO NOTHING"
            ),
            list(values),
        )


def update_schedules(session: Session, worths: Sequence[Mapping[str, Any]]) -> None:
    """Set status, quantity and amount by id, and clear the mark for revaluation."""
    if worths:
        session.connection().execute(
            update(InvoicingSchedule)
            .where(col(InvoicingSchedule.id) == bindparam("schedule"))
            .values(status=bindparam("new_status"), quantity=bindparam("worth"), amount=bindparam("money"), revalue=0),
            list(worths),
        )


def issue(
    session: Session,
    invoice: Invoice,
    lines: Sequence[tuple[InvoiceLine, Sequence[Mapping[str, Any]]]],
    vat: Sequence[InvoiceVat],
    number: Callable[[], str],
) -> str:
    """Write an invoice with its lines, shares (without their line id) and VAT; the number is taken last."""
    invoice.status = "draft"
    session.add(invoice)
    session.flush()
    assert invoice.id is not None  # noqa: S101 - flushed
    for line, _ in lines:
        line.invoice_id = invoice.id
        session.add(line)
    for total in vat:
        total.invoice_id = invoice.id
        session.add(total)
    session.flush()
    for line, shares in lines:
        for chunk in batched(shares, CHUNK):
            session.connection().execute(insert(LineShare), [{"line_id": line.id, **share} for share in chunk])
    invoice.number = number()
    invoice.status = "issued"
    session.flush()
    return invoice.number
