"""The SQL of what is measured record by record: whose windows they are, the records in order, the levels before.

The law: each statement is for a whole window, whatever the number of objects.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import NamedTuple

from sqlalchemy import text
from sqlmodel import Session, col, select

from storage.reversals import standing_in
from storage.sets import HALF, day_of, halves, list_value, listed
from storage.tables import Charge
from storage.usage import NOT_REVERSED

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
    owner: str | None = None
    """The object's reference, for a part of a pool."""


class UsageRow(NamedTuple):
    """One record; the quantity scaled, the instant in microseconds."""

    object_id: int
    metric_id: int
    occurred_at: int
    quantity: int
    discriminator: str
    content: str | None = None
    """The canonical text of its properties, where they were asked for and it has any."""


class GroupRow(NamedTuple):
    """Records of one object, metric and set of properties (None: none of them), added up; scaled integers."""

    object_id: int
    metric_id: int
    content: str | None
    records: int
    total: int
    top: int
    low: int


class SetLevel(NamedTuple):
    """What an object's records with one set of properties add up to before an instant, and the last one of them."""

    content: str | None
    total: int
    last_at: int
    last: int
    last_discriminator: str


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


def of_window(
    session: Session, *, start: int, end: int, metric_ids: Iterable[int], described: bool = False
) -> Iterator[UsageRow]:
    """The records of some metrics in `[start, end)`, of all objects, by object, metric and time.

    With their properties if they are to be `described`.
    """
    connection = session.connection()
    content, join = (", p.content", "LEFT JOIN property_set p ON p.id = u.property_set_id") if described else ("", "")
    rows = connection.execute(
        text(f"""
        SELECT object_id, metric_id, occurred_at, quantity, discriminator{content} FROM usage_record u {join}
        WHERE occurred_at >= :start AND occurred_at < :end AND metric_id {listed(connection, "metric_ids")}
              {standing_in(session, start=start, end=end)}
        ORDER BY object_id, metric_id, occurred_at
        """),
        {"start": start, "end": end, "metric_ids": list_value(connection, metric_ids)},
        execution_options={"yield_per": ROWS_AT_ONCE},
    )
    return (UsageRow(*row) for row in rows)


def groups_of_window(session: Session, *, start: int, end: int, metric_ids: Iterable[int]) -> Iterator[GroupRow]:
    """The records of some metrics in `[start, end)`, added up by object, metric and set of properties, in this order.

    A month of an object that says a few things is a few rows, however many records it has.
    """
    connection = session.connection()
    rows = connection.execute(
        text(f"""
        SELECT g.object_id, g.metric_id, p.content, g.n, g.high, g.low, g.top, g.least
        FROM (
            SELECT u.object_id, u.metric_id, u.property_set_id, COUNT(*) AS n, {halves(connection, "u.quantity")},
                   MAX(u.quantity) AS top, MIN(u.quantity) AS least
            FROM usage_record u
            WHERE u.occurred_at >= :start AND u.occurred_at < :end
                  AND u.metric_id {listed(connection, "metric_ids")} {standing_in(session, start=start, end=end)}
            GROUP BY u.object_id, u.metric_id, u.property_set_id
        ) g
        LEFT JOIN property_set p ON p.id = g.property_set_id
        ORDER BY g.object_id, g.metric_id
        """),
        {"start": start, "end": end, "metric_ids": list_value(connection, metric_ids)},
        execution_options={"yield_per": ROWS_AT_ONCE},
    )
    return (
        GroupRow(object_id, metric_id, content, count, int(high) * HALF + int(low), top, least)
        for object_id, metric_id, content, count, high, low, top, least in rows
    )


def levels_by_set(
    session: Session, *, metric_id: int, start: int, object_ids: Iterable[int]
) -> dict[int, list[SetLevel]]:
    """By object, the levels at an instant of each set of properties that its records carry.

    The rollup knows no properties: every record of the metric before the instant is read.
    """
    connection = session.connection()
    code_points = "" if connection.dialect.name == "sqlite" else ' COLLATE "C"'
    each = "PARTITION BY u.object_id, u.property_set_id"
    high, low = f"SUM(u.quantity / {HALF}) OVER ({each})", f"SUM(u.quantity % {HALF}) OVER ({each})"
    rows = connection.execute(
        text(f"""
        SELECT t.object_id, p.content, t.high, t.low, t.occurred_at, t.quantity, t.discriminator
        FROM (
            SELECT u.object_id, u.property_set_id, u.occurred_at, u.quantity, u.discriminator,
                   {high} AS high, {low} AS low,
                   ROW_NUMBER() OVER ({each} ORDER BY u.occurred_at DESC, u.discriminator{code_points} DESC) AS place
            FROM usage_record u
            WHERE u.occurred_at < :start AND u.metric_id = :metric_id
                  AND u.object_id {listed(connection, "ids")} AND {NOT_REVERSED}
        ) t
        LEFT JOIN property_set p ON p.id = t.property_set_id
        WHERE t.place = 1
        """),
        {"metric_id": metric_id, "start": start, "ids": list_value(connection, object_ids)},
    )
    found: dict[int, list[SetLevel]] = {}
    for object_id, content, above, below, *last in rows:
        found.setdefault(object_id, []).append(SetLevel(content, int(above) * HALF + int(below), *last))
    return found


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
