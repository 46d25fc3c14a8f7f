"""The SQL of the close: what is due, what was used, what was charged, and the rows that a closed month leaves.

The law: a close reads one snapshot and writes as many rows as there are schedules, never as many as usage records.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, Date, bindparam, text, update
from sqlmodel import Session, col, select

from storage.copying import copy_rows
from storage.tables import (
    BillingMonth,
    Charge,
    Contract,
    Customer,
    IngestCounter,
    Invoice,
    InvoiceLine,
    InvoiceVat,
    LineShare,
    Metric,
    Seller,
    Suspension,
)
from storage.types import DAY_MICROS

ARRAY_ROWS = 20_000
"""Rows in one statement on PostgreSQL: large enough that its cost does not show, small enough for the memory."""
CHUNK = 5000
"""Ids in one statement: below the 32,766 values of SQLite and the 65,535 of PostgreSQL."""
RISES = (
    "ON CONFLICT (object_id, metric_id, at) DO UPDATE SET quantity = excluded.quantity, quality = excluded.quality "
    "WHERE excluded.quantity > boundary_value.quantity"
)
HALF = 10**9
"""SQLite adds up in two halves, so that no 64-bit sum can overflow; they are put together in Python."""

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


class ScheduleToValue(NamedTuple):
    """A schedule with the names that its line needs; `start_at` and `end_at` in microseconds.

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
    start_at: int
    end_at: int
    item_starts_on: date | None = None
    item_ends_on: date | None = None


class Measured(NamedTuple):
    """What one object used of a metric over a window; scaled integers, instants in microseconds.

    The first and last record are 0 where they were not asked for.
    """

    records: int
    total: int
    top: int
    first_at: int = 0
    first: int = 0
    last_at: int = 0
    last: int = 0


def batched(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The values in runs of at most `size`."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def merged(parts: Iterable[Measured | None]) -> Measured | None:
    """Several windows as one; None when none of them has a record."""
    present = [part for part in parts if part is not None]
    if len(present) < 2:  # noqa: PLR2004 - one window is itself
        return present[0] if present else None
    first = min(present, key=lambda part: part.first_at)
    last = max(present, key=lambda part: part.last_at)
    return Measured(
        records=sum(part.records for part in present),
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
    connection = session.connection()
    conditions: list[tuple[str, Mapping[str, Any]]] = [
        ("s.status IN ('planned', 'valued') AND s.due_on <= :due_through", {"due_through": due_through}),
        ("s.revalue = 1 AND s.status IN ('invoiced', 'settled', 'cancelled')", {}),
    ]
    if late:
        conditions.append((f"s.id {listed(connection, 'ids')}", {"ids": list_value(connection, late)}))
    found: dict[int, ScheduleToValue] = {}
    day, attributes = lru_cache(maxsize=None)(day_of), lru_cache(maxsize=CHUNK)(json.loads)
    for condition, values in conditions:
        statement = text(f"{SCHEDULES} WHERE s.contract_id = :contract_id AND {condition}")
        for part in ("due_through",) if "due_through" in values else ():
            statement = statement.bindparams(bindparam(part, type_=Date))
        for row in connection.execute(statement, {"contract_id": contract_id, **values}):
            (
                schedule_id,
                status,
                item,
                obj,
                metric,
                charge,
                reference,
                attrs,
                name,
                *days,
                start,
                end,
                owed_until,
                item_start,
                item_end,
            ) = row
            starts_on, ends_on, nominal_starts_on, nominal_ends_on = map(day, days)
            found[schedule_id] = ScheduleToValue(
                schedule_id,
                status,
                status == "cancelled" or (owed_until is not None and day(owed_until) <= starts_on),
                item,
                obj,
                metric,
                charge,
                reference or "",
                attributes(attrs) if attrs else {},
                name,
                starts_on,
                ends_on,
                nominal_starts_on,
                nominal_ends_on,
                start,
                end,
                None if item_start is None else day(item_start),
                None if item_end is None else day(item_end),
            )
    return sorted(found.values(), key=attrgetter("start_at", "id"))


SCHEDULES = """
    SELECT s.id, s.status, s.contract_item_id, s.object_id, s.metric_id, s.charge_id, o.reference, o.attributes, u.name,
           s.starts_on, s.ends_on, s.nominal_starts_on, s.nominal_ends_on, s.start_at, s.end_at,
           COALESCE(i.fees_until, i.ends_on), i.starts_on, i.ends_on
    FROM invoicing_schedule s
    JOIN subscription u ON u.id = s.subscription_id
    LEFT JOIN connected_object o ON o.id = s.object_id
    LEFT JOIN contract_item i ON i.id = s.contract_item_id
"""


def day_of(value: date | str) -> date:
    """A date as the driver gave it: SQLite keeps them as text."""
    return date.fromisoformat(value) if isinstance(value, str) else value


def listed(connection: Connection, name: str) -> str:
    """The condition that a column is in a set of integers, bound as one value however long it is."""
    if connection.dialect.name == "sqlite":
        return f"IN (SELECT value FROM json_each(:{name}))"
    # Not unnest: of an array PostgreSQL knows the length, and so chooses between one scan and many seeks.
    return f"= ANY (CAST(:{name} AS int[]))"


def list_value(connection: Connection, values: Iterable[int]) -> Any:
    """The value that `listed` binds."""
    found = list(values)
    return json.dumps(found) if connection.dialect.name == "sqlite" else found


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


class Span(NamedTuple):
    """What one statement measures for many objects: a metric over `[start, end)`, with or without its end records."""

    metric_id: int
    start: int
    end: int
    ends: bool


def whole_days(session: Session, span: Span, object_ids: Iterable[int]) -> dict[int, Measured]:
    """By object, the rollup over the whole UTC days inside a span."""
    connection = session.connection()
    totals = f"""
        SELECT r.object_id, SUM(r.record_count) AS n, {_halves(connection, "r.quantity_sum")},
               MAX(r.quantity_max) AS top{", MIN(r.day) AS first_day, MAX(r.day) AS last_day" if span.ends else ""}
        FROM usage_rollup r
        WHERE r.metric_id = :metric_id AND r.day >= :first AND r.day < :last
              AND r.object_id {listed(connection, "ids")}
        GROUP BY r.object_id
    """
    values = {
        "metric_id": span.metric_id,
        "first": -(-span.start // DAY_MICROS),
        "last": span.end // DAY_MICROS,
        "ids": list_value(connection, object_ids),
    }
    if not span.ends:
        return {
            row[0]: Measured(int(row[1]), int(row[2]) * HALF + int(row[3]), row[4])
            for row in connection.execute(text(totals), values)
        }
    rows = connection.execute(
        text(f"""
        SELECT t.object_id, t.n, t.high, t.low, t.top, f.first_at, f.first_quantity, l.last_at, l.last_quantity
        FROM ({totals}) t
        JOIN usage_rollup f ON f.object_id = t.object_id AND f.metric_id = :metric_id AND f.day = t.first_day
        JOIN usage_rollup l ON l.object_id = t.object_id AND l.metric_id = :metric_id AND l.day = t.last_day
        """),
        values,
    )
    return {row[0]: Measured(int(row[1]), int(row[2]) * HALF + int(row[3]), *row[4:]) for row in rows}


def _halves(connection: Connection, column: str) -> str:
    """The sum of a column as `high * HALF + low`; PostgreSQL's own sum of integers has no limit and costs less."""
    if connection.dialect.name == "sqlite":
        return f"SUM({column} / {HALF}) AS high, SUM({column} % {HALF}) AS low"
    return f"0 AS high, SUM({column}) AS low"


def top_before(session: Session, span: Span, object_ids: Iterable[int]) -> dict[int, int]:
    """By object, the highest reading on the whole UTC days before a span: what its register stood at."""
    connection = session.connection()
    rows = connection.execute(
        text(f"""
        SELECT r.object_id, MAX(r.quantity_max) FROM usage_rollup r
        WHERE r.metric_id = :metric_id AND r.day < :day AND r.object_id {listed(connection, "ids")}
        GROUP BY r.object_id
        """),
        {
            "metric_id": span.metric_id,
            "day": span.start // DAY_MICROS,
            "ids": list_value(connection, object_ids),
        },
    )
    return {row[0]: row[1] for row in rows}


def window(session: Session, span: Span) -> dict[int, Measured]:
    """By object, all usage in a span read from the records: the parts of days that no rollup has."""
    bounds = {"metric_id": span.metric_id, "start": span.start, "end": span.end}
    connection = session.connection()
    inside = "occurred_at >= :start AND occurred_at < :end AND metric_id = :metric_id"
    rows = connection.execute(
        text(f"""
        SELECT object_id, COUNT(*), {_halves(connection, "quantity")}, MAX(quantity),
               MIN(occurred_at), MAX(occurred_at)
        FROM usage_record WHERE {inside} GROUP BY object_id
        """),
        bounds,
    ).all()
    if not span.ends:
        return {row[0]: Measured(row[1], int(row[2]) * HALF + int(row[3]), row[4]) for row in rows}
    times = {(row[0], at) for row in rows for at in row[5:]}
    found: dict[tuple[int, int], list[int]] = {}
    for object_id, at, quantity in connection.execute(
        text(f"SELECT object_id, occurred_at, quantity FROM usage_record WHERE {inside}"), bounds
    ):
        if (object_id, at) in times:
            found.setdefault((object_id, at), []).append(quantity)
    return {
        object_id: Measured(
            n,
            int(high) * HALF + int(low),
            top,
            first_at,
            min(found[object_id, first_at]),
            last_at,
            max(found[object_id, last_at]),
        )
        for object_id, n, high, low, top, first_at, last_at in rows
    }


def boundaries(session: Session, metric_id: int, at: int, object_ids: Iterable[int]) -> dict[int, int]:
    """By object, the stored register values at one instant (microseconds)."""
    connection = session.connection()
    rows = connection.execute(
        text(
            "SELECT object_id, quantity FROM boundary_value WHERE metric_id = :metric_id AND at = :at "
            f"AND object_id {listed(connection, 'ids')}"
        ),
        {"metric_id": metric_id, "at": at, "ids": list_value(connection, object_ids)},
    )
    return {row[0]: row[1] for row in rows}


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


def store_boundaries(session: Session, values: Sequence[tuple[int, int, int, int, str]]) -> None:
    """Keep register values (object, metric, microseconds, quantity, quality); one that is kept already only rises."""
    write_columns(
        session.connection(),
        sqlite="INSERT INTO boundary_value (object_id, metric_id, at, quantity, quality) VALUES (?, ?, ?, ?, ?) "
        f"{RISES}",
        postgresql="INSERT INTO boundary_value (object_id, metric_id, at, quantity, quality) "
        f"SELECT * FROM unnest(%s::int[], %s::int[], %s::bigint[], %s::bigint[], %s::text[]) {RISES}",
        rows=values,
    )


def update_schedules(session: Session, worths: Sequence[tuple[str, str, str, int]]) -> None:
    """Set status, quantity and amount (exact text) by id, and clear the mark for revaluation."""
    write_columns(
        session.connection(),
        sqlite="UPDATE invoicing_schedule SET status = ?, quantity = ?, amount = ?, revalue = 0 WHERE id = ?",
        postgresql="UPDATE invoicing_schedule AS s SET status = v.status, quantity = v.quantity, amount = v.amount, "
        "revalue = 0 FROM unnest(%s::text[], %s::text[], %s::text[], %s::int[]) AS v (status, quantity, amount, id) "
        "WHERE s.id = v.id",
        rows=worths,
    )


def write_columns(connection: Connection, *, sqlite: str, postgresql: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write rows by one statement: prepared and repeated on SQLite, one array a column on PostgreSQL."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(sqlite, list(rows))
        return
    for chunk in batched(rows, ARRAY_ROWS):
        connection.exec_driver_sql(postgresql, tuple(list(column) for column in zip(*chunk, strict=True)))


def issue(
    session: Session,
    invoice: Invoice,
    lines: Sequence[tuple[InvoiceLine, Sequence[tuple[int, str, str, int]]]],
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
    _store_shares(session.connection(), [(line.id, *share) for line, shares in lines for share in shares])
    invoice.number = number()
    invoice.status = "issued"
    session.flush()
    return invoice.number


def _store_shares(connection: Connection, rows: Sequence[tuple[int | None, int, str, str, int]]) -> None:
    """All shares of an invoice at once, however many lines they are on."""
    columns = "line_id, schedule_id, quantity, amount, share_minor"
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"INSERT INTO line_share ({columns}) VALUES (?, ?, ?, ?, ?)", list(rows))
    else:
        copy_rows(connection, "line_share", columns, rows)
