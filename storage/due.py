"""The schedules that a close looks at: due, marked, or late; with the charges and suspensions that value them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from operator import attrgetter, itemgetter
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import Connection, Date, bindparam, text
from sqlmodel import Session, select

from storage.sets import ARRAY_ROWS, CHUNK, day_of, in_chunks, list_value, listed, write_columns
from storage.tables import (
    Charge,
    Metric,
    Suspension,
)

ROWS_AT_ONCE = 5000
RUN_ROWS_MIN = 1000
"""Fewer neighbours are not worth a statement of their own; so many ids left out between two are."""
NO_ATTRIBUTES: Mapping[str, Any] = MappingProxyType({})
SCHEDULES = """
    SELECT s.id, s.status, s.contract_item_id, s.object_id, s.metric_id, s.charge_id, o.reference, o.attributes, u.name,
           s.starts_on, s.ends_on, s.nominal_starts_on, s.nominal_ends_on, s.start_at, s.end_at,
           COALESCE(i.fees_until, i.ends_on), COALESCE(i.term_starts_on, i.starts_on), i.ends_on, s.subscription_id
    FROM invoicing_schedule s
    JOIN subscription u ON u.id = s.subscription_id
    LEFT JOIN connected_object o ON o.id = s.object_id
    LEFT JOIN contract_item i ON i.id = s.contract_item_id
"""


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
    line_starts_on: date | None = None
    """Where the service began, from which its periods are numbered."""
    item_ends_on: date | None = None
    subscription_id: int | None = None


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
    for condition, values in conditions:
        for schedule in _schedules(connection, condition, {"contract_id": contract_id, **values}):
            found[schedule.id] = schedule
    return sorted(found.values(), key=attrgetter("start_at", "id"))


class ChargePeriod(NamedTuple):
    """The schedules of one charge over one period: how many, and the objects that they lie between."""

    charge_id: int
    metric_id: int
    start_at: int
    end_at: int
    schedules: int
    least_object: int
    most_object: int


def charge_periods_due(session: Session, *, contract_id: int, due_through: date, at_least: int) -> list[ChargePeriod]:
    """What is planned and due by a day of a metric, of so many objects at least."""
    rows = session.connection().execute(
        text(
            "SELECT charge_id, metric_id, start_at, end_at, COUNT(*), MIN(object_id), MAX(object_id) "
            "FROM invoicing_schedule WHERE contract_id = :contract_id AND status IN ('planned', 'valued') "
            "AND due_on <= :due_through AND metric_id IS NOT NULL AND object_id IS NOT NULL "
            "GROUP BY charge_id, metric_id, start_at, end_at HAVING COUNT(*) >= :at_least"
        ).bindparams(bindparam("due_through", type_=Date)),
        {"contract_id": contract_id, "due_through": due_through, "at_least": at_least},
    )
    return [ChargePeriod(*row) for row in rows]


def charged_schedules(session: Session, contract_id: int) -> list[ScheduleToValue]:
    """What was closed and needs no other look: its worth is what was charged; in order of start, then id."""
    condition = "s.revalue = 0 AND s.status IN ('invoiced', 'settled', 'cancelled')"
    found = _schedules(session.connection(), condition, {"contract_id": contract_id})
    return sorted(found, key=attrgetter("start_at", "id"))


def _schedules(connection: Connection, condition: str, values: Mapping[str, Any]) -> Iterator[ScheduleToValue]:
    statement = text(f"{SCHEDULES} WHERE s.contract_id = :contract_id AND {condition}")
    for part in ("due_through",) if "due_through" in values else ():
        statement = statement.bindparams(bindparam(part, type_=Date))
    day, attributes = lru_cache(maxsize=None)(day_of), lru_cache(maxsize=CHUNK)(json.loads)
    # A fleet's schedules have the same few names and instants: each is kept once, and rows come in portions.
    known: dict[Any, Any] = {}
    same = known.setdefault
    for row in connection.execute(statement, values, execution_options={"yield_per": ROWS_AT_ONCE}):
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
            subscription_id,
        ) = row
        starts_on, ends_on, nominal_starts_on, nominal_ends_on = map(day, days)
        yield ScheduleToValue(
            schedule_id,
            same(status, status),
            status == "cancelled" or (owed_until is not None and day(owed_until) <= starts_on),
            item,
            obj,
            metric,
            charge,
            reference or "",
            attributes(attrs) if attrs else NO_ATTRIBUTES,
            same(name, name),
            starts_on,
            ends_on,
            nominal_starts_on,
            nominal_ends_on,
            same(start, start),
            same(end, end),
            None if item_start is None else day(item_start),
            None if item_end is None else day(item_end),
            subscription_id,
        )


def charges(session: Session, ids: Iterable[int]) -> dict[int, Charge]:
    """Charges by id."""
    return {row.id: row for row in in_chunks(session, ids, Charge, Charge.id) if row.id is not None}


def metrics(session: Session) -> dict[int, Metric]:
    """All metrics by id."""
    return {row.id: row for row in session.exec(select(Metric)) if row.id is not None}


def suspensions(session: Session, item_ids: Iterable[int]) -> dict[int, list[tuple[date, date | None]]]:
    """Suspended local days by contract item."""
    found: dict[int, list[tuple[date, date | None]]] = {}
    for row in in_chunks(session, item_ids, Suspension, Suspension.contract_item_id):
        found.setdefault(row.contract_item_id, []).append((row.starts_on, row.ends_on))
    return found


def update_schedules(session: Session, worths: Sequence[tuple[str, str, str, int]]) -> None:
    """Set status, quantity and amount (exact text) by id, and clear the mark for revaluation."""
    connection = session.connection()
    sqlite = "UPDATE invoicing_schedule SET status = ?, quantity = ?, amount = ?, revalue = 0 WHERE id = ?"
    # The bounds say that a run is one place of the table; without them PostgreSQL reads all of it.
    postgresql = """
        UPDATE invoicing_schedule AS s SET status = v.status, quantity = v.quantity, amount = v.amount, revalue = 0
        FROM unnest(%s::text[], %s::text[], %s::text[], %s::int[]) AS v (status, quantity, amount, id)
        WHERE s.id = v.id AND s.id BETWEEN {first} AND {last}
    """
    if connection.dialect.name == "sqlite":
        write_columns(connection, sqlite=sqlite, postgresql="", rows=worths)
        return
    for run in runs(sorted(worths, key=itemgetter(3))):
        bounded = postgresql.format(first=run[0][3], last=run[-1][3])
        write_columns(connection, sqlite="", postgresql=bounded, rows=run)


def runs(rows: Sequence[tuple[str, str, str, int]]) -> Iterator[Sequence[tuple[str, str, str, int]]]:
    """Rows in order of id, cut where many ids are left out; a run has rows enough for a statement of its own."""
    start = 0
    for place in range(1, len(rows)):
        long = place - start >= ARRAY_ROWS
        if long or (place - start >= RUN_ROWS_MIN and rows[place][3] - rows[place - 1][3] > RUN_ROWS_MIN):
            yield rows[start:place]
            start = place
    if start < len(rows):
        yield rows[start:]


def look_again(session: Session, schedule_ids: Sequence[int]) -> None:
    """Mark what was charged before, so that the next close finds its difference again."""
    if not schedule_ids:
        return
    connection = session.connection()
    connection.execute(
        text(
            "UPDATE invoicing_schedule SET revalue = 1 WHERE status IN ('invoiced', 'settled', 'cancelled') "
            f"AND id {listed(connection, 'ids')}"
        ),
        {"ids": list_value(connection, schedule_ids)},
    )


def follows(session: Session, contract_id: int, day: date) -> bool:
    """Whether anything of a contract is still to be charged after a day."""
    found = session.connection().execute(
        text(
            "SELECT 1 FROM invoicing_schedule WHERE contract_id = :contract_id "
            "AND status IN ('planned', 'valued') AND due_on > :day LIMIT 1"
        ).bindparams(bindparam("day", type_=Date)),
        {"contract_id": contract_id, "day": day},
    )
    return found.first() is not None
