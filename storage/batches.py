"""A batch of usage in the fewest statements: its number, its facts, its days; on the driver itself, for speed.

The law: a batch's number is in commit order, a fact whose key is taken is left as it is, and what is added to the
days is what the caller says was new.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection

from storage.bulk import (
    driver_cursor,
    insert_rows,
    is_sqlite,
    write_columns,
    write_many,
)
from storage.errors import IntakeChanged
from storage.intake import expression
from storage.types import DAY_MICROS

Key = tuple[int, int, int, str]
"""Instant in microseconds, object id, metric id, discriminator."""
Row = tuple[int, int, int, str, int, int, str, bool]
"""A `Fact` without its names, which cost more than all else that is done to it."""
COLUMNS: tuple[str, ...] = (
    *("occurred_at", "object_id", "metric_id", "discriminator", "quantity", "received_at", "origin", "unkeyed"),
)
TYPES: tuple[str, ...] = ("bigint", "int", "int", "text", "bigint", "bigint", "text", "int")
"""The columns of a row, with their types on PostgreSQL."""
QUANTITY: Final = 4
"""Its place in a row."""
ROLLUP = (
    *("day", "object_id", "metric_id", "record_count", "quantity_sum", "quantity_max", "quantity_min"),
    *("first_at", "first_quantity", "last_at", "last_quantity"),
)
ROLLUP_TYPES: tuple[str, ...] = (*("int",) * 4, *("bigint",) * 7)
"""The columns of a day, with their types on PostgreSQL."""
ROLLUP_INTO = f"INSERT INTO usage_rollup (batch, {', '.join(ROLLUP)})"
NUMBERED = (
    "INSERT INTO ingest_counter (id, last_batch) VALUES (1, 1) ON CONFLICT (id) "
    "DO UPDATE SET last_batch = ingest_counter.last_batch + 1"
)
NEW_KEY = "ON CONFLICT (occurred_at, object_id, metric_id, discriminator) DO NOTHING"
TOUCH = "ON CONFLICT (day) DO UPDATE SET batch = excluded.batch"
COUNT, SUM, MOST, LEAST, FIRST_AT, FIRST, LAST_AT, LAST = range(3, 11)
"""Places in a day of the rollup, behind its key."""


class Written(NamedTuple):
    """The number of a batch, and how many of its facts are new."""

    number: int
    new: int


def write(connection: Connection, facts: Sequence[Row], described: Mapping[int, int], stands: str | None) -> Written:
    """Number a batch and write the facts whose key is new; where all of them were, their days have them too.

    `described` has the set of properties of each fact that has one, by its place; `stands` is the text of the `Intake`
    that they were read by. Raises IntakeChanged where another one stands by now.
    """
    batch, text = next_batch(connection)
    if stands is not None and stands != text:
        raise IntakeChanged
    count = insert(connection, facts, batch, described)
    if count == len(facts):
        roll_up(connection, facts, batch)
    return Written(batch, count)


def next_batch(connection: Connection) -> tuple[int, str]:
    """The number of this transaction among those that write usage, and the text of the `Intake` that it stands under.

    The number's row stays locked until the commit.
    """
    sql = f"{NUMBERED} RETURNING last_batch, {expression(connection)}"
    with driver_cursor(connection) as cursor:
        number, text = cursor.execute(sql).fetchone()
    return number, text


def insert(connection: Connection, facts: Sequence[Row], batch: int, described: Mapping[int, int]) -> int:
    """Write the facts whose key is new, the first of a key in this batch; returns how many they were."""
    names, types, rows = with_properties(facts, described)
    columns = ", ".join(names)
    if is_sqlite(connection):
        # A fact is a row as it stands: the batch, equal for all, is one value of the statement.
        return insert_rows(connection, f"INSERT INTO usage_record (batch, {columns})", NEW_KEY, batch, rows)
    into = f"INSERT INTO usage_record ({columns}, batch)"
    return write_columns(connection, f"{into} SELECT f.*, %s::bigint FROM {{rows}} AS f {NEW_KEY}", types, rows, batch)


def with_properties(
    facts: Sequence[Row], described: Mapping[int, int]
) -> tuple[tuple[str, ...], tuple[str, ...], Sequence[tuple[Any, ...]]]:
    """The columns, their types on PostgreSQL, and the rows, which have a set of properties where any fact has one."""
    if not described:
        return COLUMNS, TYPES, facts
    rows = [(*fact, described.get(place)) for place, fact in enumerate(facts)]
    return (*COLUMNS, "property_set_id"), (*TYPES, "int"), rows


def taken_before(connection: Connection, keys: Sequence[Key], batch: int) -> dict[Key, tuple[int, int | None]]:
    """The quantities and sets of properties that stood under these keys before this batch."""
    if is_sqlite(connection):
        # CROSS JOIN is SQLite's way to say: walk the list, seek in the table.
        rows = connection.exec_driver_sql(
            "SELECT u.occurred_at, u.object_id, u.metric_id, u.discriminator, u.quantity, u.property_set_id "
            "FROM json_each(?) AS k CROSS JOIN usage_record AS u "
            "ON u.occurred_at = json_extract(k.value, '$[0]') AND u.object_id = json_extract(k.value, '$[1]') "
            "AND u.metric_id = json_extract(k.value, '$[2]') AND u.discriminator = json_extract(k.value, '$[3]') "
            "WHERE u.batch <> ?",
            (json.dumps(keys), batch),
        )
    else:
        columns = tuple(list(column) for column in zip(*keys, strict=True))
        rows = connection.exec_driver_sql(
            "SELECT u.occurred_at, u.object_id, u.metric_id, u.discriminator, u.quantity, u.property_set_id "
            "FROM unnest(%s::bigint[], %s::int[], %s::int[], %s::text[]) AS k(occurred_at, object_id, metric_id, "
            "discriminator) JOIN usage_record AS u USING (occurred_at, object_id, metric_id, discriminator) "
            "WHERE u.batch <> %s",
            (*columns, batch),
        )
    return {(row[0], row[1], row[2], row[3]): (row[4], row[5]) for row in rows}


def roll_up(connection: Connection, facts: Sequence[Row], batch: int) -> None:
    """Add new facts to their days.

    At one instant the smaller quantity counts as first and the greater as last: the order of arrival is nothing.
    """
    if not facts:
        return
    rows = days_of(facts)
    touched = {row[0] for row in rows}
    if is_sqlite(connection):
        insert_rows(connection, ROLLUP_INTO, add("max", "min"), batch, rows)
        touch_days(connection, touched, batch)
    else:
        # In one statement: each is a round trip, for which a busy machine lets it wait.
        touch = f"WITH touched AS (INSERT INTO usage_day (day, batch) SELECT unnest(%s::int[]), %s::bigint {TOUCH})"
        select = f"{touch} {ROLLUP_INTO} SELECT %s::bigint, d.* FROM {{rows}} AS d {add('greatest', 'least')}"
        write_columns(connection, select, ROLLUP_TYPES, rows, sorted(touched), batch, batch)


def days_of(facts: Iterable[Row]) -> list[tuple[int, ...]]:
    """What the facts come to by day, object and metric, in the columns of the rollup."""
    days: dict[tuple[int, int, int], list[int]] = {}
    look = days.get
    day = begins = ends = 0
    for at, object_id, metric_id, _, quantity, _, _, _ in facts:
        if not begins <= at < ends:
            day = at // DAY_MICROS
            begins = day * DAY_MICROS
            ends = begins + DAY_MICROS
        key = (day, object_id, metric_id)
        it = look(key)
        if it is None:
            days[key] = [day, object_id, metric_id, 1, quantity, quantity, quantity, at, quantity, at, quantity]
            continue
        it[COUNT] += 1
        it[SUM] += quantity
        if quantity > it[MOST]:
            it[MOST] = quantity
        elif quantity < it[LEAST]:
            it[LEAST] = quantity
        if at > it[LAST_AT] or (at == it[LAST_AT] and quantity > it[LAST]):
            it[LAST_AT], it[LAST] = at, quantity
        if at < it[FIRST_AT] or (at == it[FIRST_AT] and quantity < it[FIRST]):
            it[FIRST_AT], it[FIRST] = at, quantity
    return [tuple(it) for it in days.values()]


@cache
def add(greatest: str, least: str) -> str:
    """What becomes of a day that is there, where the database calls the greater and the lesser of two so."""
    earlier = "(excluded.first_at, excluded.first_quantity) < (usage_rollup.first_at, usage_rollup.first_quantity)"
    later = "(excluded.last_at, excluded.last_quantity) > (usage_rollup.last_at, usage_rollup.last_quantity)"
    return (
        "ON CONFLICT (day, object_id, metric_id) DO UPDATE SET "
        "record_count = usage_rollup.record_count + excluded.record_count, "
        "quantity_sum = usage_rollup.quantity_sum + excluded.quantity_sum, "
        f"quantity_max = {greatest}(usage_rollup.quantity_max, excluded.quantity_max), "
        f"quantity_min = {least}(usage_rollup.quantity_min, excluded.quantity_min), "
        f"first_at = CASE WHEN {earlier} THEN excluded.first_at ELSE usage_rollup.first_at END, "
        f"first_quantity = CASE WHEN {earlier} THEN excluded.first_quantity ELSE usage_rollup.first_quantity END, "
        f"last_at = CASE WHEN {later} THEN excluded.last_at ELSE usage_rollup.last_at END, "
        f"last_quantity = CASE WHEN {later} THEN excluded.last_quantity ELSE usage_rollup.last_quantity END, "
        "batch = excluded.batch"
    )


def touch_days(connection: Connection, days: Iterable[int], batch: int) -> None:
    """Note that rollup rows of these UTC days were touched."""
    rows = [(day, batch) for day in sorted(days)]
    write_many(connection, f"INSERT INTO usage_day (day, batch) VALUES (?, ?) {TOUCH}", rows)
