"""The detail of an issued invoice, streamed: the share of each schedule, and the usage records behind it.

The law: memory holds a bounded number of rows, whatever the size of the fleet; the order is by line, then by the
object's reference, then by schedule.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from fractions import Fraction
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import TextClause, func, or_, text, type_coerce
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col, select

from storage import coupons, pools
from storage.invoices import LineDocument, find_invoice, stream_lines
from storage.properties import parsed
from storage.tables import (
    BillingMonth,
    BoundaryValue,
    ConnectedObject,
    DraftMonth,
    Invoice,
    InvoiceLine,
    InvoicingSchedule,
    LineShare,
    Metric,
    ObjectShare,
)
from storage.types import DAY_MICROS, Exact, from_micros, to_micros
from storage.usage import SAME_RECORD

FETCH_ROWS = 1000
"""Detail rows held in memory at a time."""
SHARES = """
    SELECT line.position, COALESCE(object.reference, '') AS name, schedule.starts_on, schedule.ends_on,
           share.quantity, share.share_minor, {quality}
    FROM invoice_line AS line
    JOIN line_share AS share ON share.line_id = line.id
    JOIN invoicing_schedule AS schedule ON schedule.id = share.schedule_id
    LEFT JOIN connected_object AS object ON object.id = schedule.object_id
    {boundary}
    WHERE line.invoice_id = :invoice_id
    ORDER BY line.position, object.reference, share.schedule_id
"""

POOLED_SHARES = """
    SELECT line.position, COALESCE(object.reference, '') AS name,
           COALESCE(schedule.starts_on, line.period_starts_on), COALESCE(schedule.ends_on, line.period_ends_on),
           COALESCE(part.quantity, share.quantity, line.quantity),
           COALESCE(part.share_minor, share.share_minor, line.net_minor), {quality}
    FROM invoice_line AS line
    LEFT JOIN line_share AS share ON share.line_id = line.id
    LEFT JOIN invoicing_schedule AS schedule ON schedule.id = share.schedule_id
    LEFT JOIN object_share AS part ON part.line_id = share.line_id AND part.schedule_id = share.schedule_id
    LEFT JOIN connected_object AS object ON object.id = COALESCE(part.object_id, schedule.object_id)
    {boundary}
    WHERE line.invoice_id = :invoice_id
    ORDER BY line.position, object.reference, share.schedule_id
"""
"""The same where there are pools or coupons: a row for each object of a pool, and one without object for a coupon."""

BOUNDARY = (
    "LEFT JOIN boundary_value AS boundary ON boundary.object_id = object.id "
    "AND boundary.metric_id = schedule.metric_id AND boundary.at = schedule.end_at"
)
ShareTuple = tuple[int, str, date | str, date | str, str, int, str]
"""Line's position, object's reference or "", first day, exclusive end, quantity as exact text, minor units, quality.

The quality is that of a register's value at the end of the period, "" of what is no register. A day is what the driver
gives: a date (PostgreSQL) or its ISO text (SQLite); `str` of both is the ISO text.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailRow:
    """What one schedule put on one line, or one object of a pool."""

    line: int
    schedule_id: int
    object_id: int | None
    metric_id: int | None
    charge_id: int
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
    pooled: bool = False
    """It is one object's part of a pool: its usage counts while its contract items are there."""


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
    reversed_by: int | None = None
    """The batch that took it back, if one did."""
    reason: str = ""
    """Why it was taken back."""
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedRecord:
    record: RecordRow
    late: bool
    """It arrived after the close that issued this invoice: not on this invoice, the next one adjusts for it."""
    taken_back: bool
    """It was taken back before that close: not on this invoice either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedShare:
    """One schedule's share; `opening` and `closing` are the register's values, if it has one.

    `records` reads the database as it goes: take them before the next share.
    """

    detail: DetailRow
    opening: Fraction | None
    closing: Fraction | None
    qualities: tuple[str | None, str | None]
    """How these two values are known."""
    records: Iterator[ExplainedRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedLine:
    """A line; `shares` reads the database as it goes: take them before the next line."""

    line: LineDocument
    shares: Iterator[ExplainedShare]


def share_batches(session: Session, number: str) -> Iterator[list[ShareTuple]]:
    """A tuple per line and schedule, up to FETCH_ROWS at a time, as the driver reads them. Raises UnknownInvoice.

    For a million rows and more: nothing is made of a row but its tuple.
    """
    invoice, _ = find_invoice(session, number)
    invoice_id = invoice.id or 0
    sql = POOLED_SHARES if pools.has_parts(session, invoice_id) or coupons.of_invoice(session, invoice_id) else SHARES
    if session.exec(select(BoundaryValue.at).limit(1)).first() is None:  # no register: nothing is asked for each share
        sql = sql.format(quality="''", boundary="")
    else:
        sql = sql.format(quality="COALESCE(boundary.quality, '')", boundary=BOUNDARY)
    return _batches(session, text(sql).bindparams(invoice_id=invoice.id))


def _batches(session: Session, statement: TextClause) -> Iterator[list[ShareTuple]]:
    """Rows of the driver's own cursor, of the server's on PostgreSQL, in the session's transaction.

    SQLAlchemy's rows would cost as much again as reading them.
    """
    connection = session.connection()
    dialect, failure = connection.dialect, connection.dialect.loaded_dbapi.Error
    driver: Any = connection.connection.driver_connection
    sql = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    cursor = driver.cursor() if dialect.name == "sqlite" else driver.cursor(name="shares")
    try:
        cursor.execute(sql)
        while rows := cursor.fetchmany(FETCH_ROWS):
            yield rows
    except failure as error:
        raise DBAPIError.instance(sql, None, error, failure) from error
    finally:
        cursor.close()


def detail_rows(session: Session, number: str) -> Iterator[DetailRow]:
    """A row per line and schedule, and for pools a row per object of it, streamed. Raises UnknownInvoice."""
    invoice, _ = find_invoice(session, number)
    return _streamed(session, InvoiceLine.invoice_id == invoice.id)


def _streamed(session: Session, *conditions: Any) -> Iterator[DetailRow]:
    object_id = func.coalesce(ObjectShare.object_id, InvoicingSchedule.object_id)
    query = (
        select(  # type: ignore[call-overload]  # SQLModel's overloads end at four columns
            col(InvoiceLine.position),
            col(LineShare.schedule_id),
            object_id.label("object_id"),
            col(InvoicingSchedule.metric_id),
            col(InvoicingSchedule.charge_id),
            col(ConnectedObject.reference),
            col(InvoiceLine.subscription_name),
            col(InvoiceLine.charge_name),
            col(InvoiceLine.component),
            col(InvoicingSchedule.starts_on),
            col(InvoicingSchedule.ends_on),
            col(InvoicingSchedule.start_at),
            col(InvoicingSchedule.end_at),
            col(InvoiceLine.adjustment),
            type_coerce(func.coalesce(ObjectShare.quantity, LineShare.quantity), Exact).label("quantity"),
            col(InvoiceLine.unit),
            col(InvoiceLine.unit_price),
            type_coerce(func.coalesce(ObjectShare.amount, LineShare.amount), Exact).label("amount"),
            func.coalesce(ObjectShare.share_minor, LineShare.share_minor).label("share_minor"),
            col(InvoicingSchedule.contract_item_id).is_(None).label("pooled"),
        )
        .join(LineShare, col(LineShare.line_id) == col(InvoiceLine.id))
        .join(InvoicingSchedule, col(InvoicingSchedule.id) == col(LineShare.schedule_id))
        .outerjoin(
            ObjectShare,
            (col(ObjectShare.line_id) == col(LineShare.line_id))
            & (col(ObjectShare.schedule_id) == col(LineShare.schedule_id)),
        )
        .outerjoin(ConnectedObject, col(ConnectedObject.id) == object_id)
        .where(*conditions)
        .order_by(col(InvoiceLine.position), col(ConnectedObject.reference), col(LineShare.schedule_id))
        .execution_options(yield_per=FETCH_ROWS)
    )
    with session.connection().execute(query) as rows:
        for row in rows:
            yield DetailRow(
                line=row.position,
                schedule_id=row.schedule_id,
                object_id=row.object_id,
                metric_id=row.metric_id,
                charge_id=row.charge_id,
                reference=row.reference or "",
                subscription=row.subscription_name,
                charge=row.charge_name,
                component=row.component,
                starts_on=row.starts_on,
                ends_on=row.ends_on,
                start_at=row.start_at,
                end_at=row.end_at,
                adjustment=bool(row.adjustment),
                quantity=row.quantity,
                unit=row.unit,
                unit_price=row.unit_price,
                amount=row.amount,
                share_minor=row.share_minor,
                pooled=row.pooled,
            )


def records_behind(session: Session, detail: DetailRow) -> Iterator[RecordRow]:
    """The usage records of a schedule's object, metric and period, in order of time; none for a fee.

    The days come from the rollup, so that only days with usage are read from the facts.
    """
    if detail.object_id is None or detail.metric_id is None:
        return
    metric = session.exec(select(Metric).where(Metric.id == detail.metric_id)).one()
    if detail.pooled:
        for start, end in pools.item_windows(session, detail.schedule_id, detail.object_id):
            window = replace(detail, start_at=from_micros(start), end_at=from_micros(end), pooled=False)
            yield from records_behind(session, window)
        return
    start, end = to_micros(detail.start_at), to_micros(detail.end_at)
    names = {"object_id": detail.object_id, "metric_id": detail.metric_id}
    days = (
        session.connection()
        .execute(
            text(
                "SELECT day FROM usage_rollup WHERE object_id = :object_id AND metric_id = :metric_id "
                "AND day >= :first_day AND day <= :last_day ORDER BY day"
            ),
            {**names, "first_day": start // DAY_MICROS, "last_day": end // DAY_MICROS},
        )
        .scalars()
        .all()
    )
    for day in days:
        rows = session.connection().execute(
            text(
                "SELECT u.occurred_at, u.received_at, u.quantity, u.discriminator, u.origin, u.batch, x.batch, "
                f"x.reason, p.content FROM usage_record u LEFT JOIN usage_reversal x ON {SAME_RECORD} "
                "LEFT JOIN property_set p ON p.id = u.property_set_id "
                "WHERE u.occurred_at >= :start AND u.occurred_at < :end AND u.object_id = :object_id "
                "AND u.metric_id = :metric_id ORDER BY u.occurred_at, u.discriminator"
            ),
            {**names, "start": max(start, day * DAY_MICROS), "end": min(end, (day + 1) * DAY_MICROS)},
        )
        for occurred_at, received_at, quantity, discriminator, origin, batch, reversed_by, reason, content in rows:
            yield RecordRow(
                occurred_at=from_micros(occurred_at),
                received_at=from_micros(received_at),
                metric=metric.name,
                unit=metric.unit,
                quantity=Fraction(quantity, 10**metric.decimals),
                discriminator=discriminator,
                origin=origin,
                batch=batch,
                reversed_by=reversed_by,
                reason=reason or "",
                properties=parsed(content),
            )


Shows = Callable[[DetailRow, Mapping[str, str]], bool]


def _all_shown(_detail: DetailRow, _properties: Mapping[str, str]) -> bool:
    return True


def mark_of(session: Session, invoice: Invoice) -> int:
    """The last batch that the close saw which issued an invoice, or the invoice that a note by hand credits."""
    if invoice.status == "draft":
        return session.get_one(DraftMonth, (invoice.contract_id, invoice.month_starts_on)).usage_mark
    charged = invoice if invoice.credits_id is None else session.get_one(Invoice, invoice.credits_id)
    if charged.usage_mark is not None:
        return charged.usage_mark
    return session.exec(
        select(BillingMonth.usage_mark).where(
            BillingMonth.contract_id == charged.contract_id, BillingMonth.month_starts_on == charged.month_starts_on
        )
    ).one()


def explain(session: Session, number: str, shows: Shows = _all_shown) -> Iterator[ExplainedLine]:
    """Each line of an invoice, its schedules, and the usage records behind each, read as they are taken.

    `shows` says which records of a schedule are behind a line that is not for all of them.
    A record that arrived after the invoice is shown too, and says so. Raises UnknownInvoice at the first line.
    """
    invoice, _ = find_invoice(session, number)
    mark = mark_of(session, invoice)
    shares = groupby(detail_rows(session, number), key=attrgetter("line"))
    position, of_line = next(shares, (0, iter(())))
    for line in stream_lines(session, invoice):
        if line.position != position:
            yield ExplainedLine(line=line, shares=iter(()))
            continue
        yield ExplainedLine(line=line, shares=(_explained(session, detail, mark, shows) for detail in of_line))
        position, of_line = next(shares, (0, iter(())))


def explain_share(
    session: Session, line_id: int, schedule_id: int, object_id: int | None, shows: Shows = _all_shown
) -> ExplainedShare | None:
    """What one schedule (of a pool, one object of it) put on one line; None when it put nothing there."""
    line = session.get(InvoiceLine, line_id)
    if line is None:
        return None
    of_object = () if object_id is None else (or_(*_of_object(object_id)),)
    rows = _streamed(session, InvoiceLine.id == line_id, LineShare.schedule_id == schedule_id, *of_object)
    detail = next(iter(list(rows)), None)
    if detail is None:
        return None
    return _explained(session, detail, mark_of(session, session.get_one(Invoice, line.invoice_id)), shows)


def _of_object(object_id: int) -> tuple[Any, ...]:
    own = (col(ObjectShare.object_id).is_(None)) & (col(InvoicingSchedule.object_id) == object_id)
    return (col(ObjectShare.object_id) == object_id, own)


def _explained(session: Session, detail: DetailRow, mark: int, shows: Shows) -> ExplainedShare:
    (opening, begun), (closing, ended) = (_register(session, detail, at) for at in (detail.start_at, detail.end_at))
    return ExplainedShare(
        detail=detail,
        opening=opening,
        closing=closing,
        qualities=(begun, ended),
        records=(
            ExplainedRecord(
                record=record,
                late=record.batch > mark,
                taken_back=record.reversed_by is not None and record.reversed_by <= mark,
            )
            for record in records_behind(session, detail)
            if shows(detail, record.properties)
        ),
    )


def _register(session: Session, detail: DetailRow, at: datetime) -> tuple[Fraction | None, str | None]:
    if detail.object_id is None or detail.metric_id is None:
        return None, None
    found = session.exec(
        select(BoundaryValue.quantity, Metric.decimals, BoundaryValue.quality)
        .join(Metric, col(Metric.id) == col(BoundaryValue.metric_id))
        .where(
            BoundaryValue.object_id == detail.object_id,
            BoundaryValue.metric_id == detail.metric_id,
            BoundaryValue.at == at,
        )
    ).first()
    return (None, None) if found is None else (Fraction(found[0], 10 ** found[1]), found[2])
