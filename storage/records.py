"""The SQL of what is measured record by record: whose windows they are, the records in order, the levels before.

The law: each statement is for a whole window, whatever the number of objects.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import NamedTuple

from sqlalchemy import text
from sqlmodel import Session, col, select

from storage.reversals import standing_in
from storage.sets import HALF, day_of, list_value, listed
from storage.tables import Charge
from storage.types import DAY_MICROS

ROWS_AT_ONCE = 10_000


class ScheduleOfWindow(NamedTuple):
    """A schedule over a window, with what its measure depends on."""

    id: int
    object_id: int
    metric_id: int
    charge_id: int
    contract_item_id: int | None
    nominal_starts_on: date
    nominal_ends_on: date
    timezone: str


class UsageRow(NamedTuple):
    """One record; the quantity scaled, the instant in microseconds."""

    object_id: int
    metric_id: int
    occurred_at: int
    quantity: int
    discriminator: str


class Level(NamedTuple):
    """What all records of an object before an instant add up to, and what its last one said; scaled integers."""

    total: int
    last: int


def usage_charges(session: Session) -> list[Charge]:
    """Every usage charge of every plan version."""
    return list(session.exec(select(Charge).where(col(Charge.type) == "usage")).all())


def schedules_of_window(session: Session, *, start: int, end: int, charge_ids: Iterable[int]) -> list[ScheduleOfWindow]:
    """The schedules over exactly `[start, end)` of some charges, of all contracts, by object and metric."""
    connection = session.connection()
    rows = connection.execute(
        text(f"""
        SELECT s.id, s.object_id, s.metric_id, s.charge_id, s.contract_item_id, s.nominal_starts_on, s.nominal_ends_on,
               c.timezone
        FROM invoicing_schedule s JOIN contract c ON c.id = s.contract_id
        WHERE s.start_at = :start AND s.end_at = :end AND s.status <> 'cancelled' AND s.object_id IS NOT NULL
              AND s.charge_id {listed(connection, "charge_ids")}
        """),
        {"start": start, "end": end, "charge_ids": list_value(connection, charge_ids)},
    )
    return [
        ScheduleOfWindow(identity, object_id, metric_id, charge_id, item_id, day_of(first), day_of(end_on), timezone)
        for identity, object_id, metric_id, charge_id, item_id, first, end_on, timezone in rows
    ]


def of_window(session: Session, *, start: int, end: int, metric_ids: Iterable[int]) -> Iterator[UsageRow]:
    """The records of some metrics in `[start, end)`, of all objects, by object, metric and time."""
    connection = session.connection()
    rows = connection.execute(
        text(f"""
        SELECT object_id, metric_id, occurred_at, quantity, discriminator FROM usage_record u
        WHERE occurred_at >= :start AND occurred_at < :end AND metric_id {listed(connection, "metric_ids")}
              {standing_in(session, start=start, end=end)}
        ORDER BY object_id, metric_id, occurred_at
        """),
        {"start": start, "end": end, "metric_ids": list_value(connection, metric_ids)},
        execution_options={"yield_per": ROWS_AT_ONCE},
    )
    return (UsageRow(*row) for row in rows)


def levels_before(session: Session, *, metric_id: int, day: int, object_ids: Iterable[int]) -> dict[int, Level]:
    """By object, the level at the beginning of a UTC day, from the rollup."""
    connection = session.connection()
    rows = connection.execute(
        text(f"""
        SELECT t.object_id, t.high, t.low, l.last_quantity
        FROM (
            SELECT r.object_id, SUM(r.quantity_sum / {HALF}) AS high, SUM(r.quantity_sum % {HALF}) AS low,
                   MAX(r.day) AS last_day
            FROM usage_rollup r
            WHERE r.metric_id = :metric_id AND r.day < :day AND r.record_count > 0
                  AND r.object_id {listed(connection, "ids")}
            GROUP BY r.object_id
        ) t
        JOIN usage_rollup l ON l.object_id = t.object_id AND l.metric_id = :metric_id AND l.day = t.last_day
        """),
        {"metric_id": metric_id, "day": day, "ids": list_value(connection, object_ids)},
    )
    return {row[0]: Level(int(row[1]) * HALF + int(row[2]), row[3]) for row in rows}


def late_levels(session: Session, charge_ids: Iterable[int]) -> list[tuple[int, int]]:
    """Contract and id of the charged schedules into which a record newer than the contract's last close is carried."""
    connection = session.connection()
    rows = connection.execute(
        text(f"""
        WITH mark AS (SELECT contract_id, MAX(usage_mark) AS mark FROM billing_month GROUP BY contract_id)
        SELECT DISTINCT s.contract_id, s.id
        FROM usage_rollup r
        JOIN invoicing_schedule s ON s.object_id = r.object_id AND s.metric_id = r.metric_id
             AND s.end_at > r.day * {DAY_MICROS}
        JOIN mark m ON m.contract_id = s.contract_id
        WHERE r.batch > (SELECT MIN(mark) FROM mark) AND r.batch > m.mark AND s.status IN ('invoiced', 'settled')
              AND s.charge_id {listed(connection, "charge_ids")}
        """),
        {"charge_ids": list_value(connection, charge_ids)},
    )
    return [(row[0], row[1]) for row in rows]
