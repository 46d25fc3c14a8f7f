"""A batch of usage as one statement: its number, its facts, its days (PostgreSQL).

The law: it writes what `storage.batches` would write, or nothing. It is for facts that are new, as nearly all are: "on
conflict" would cost every batch a fifth of the server's work for keys that a few have taken.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from storage.arrays import ARRAYS
from storage.batches import (
    NUMBERED,
    ROLLUP,
    ROLLUP_INTO,
    ROLLUP_TYPES,
    TOUCH,
    Row,
    Written,
    add,
    days_of,
    with_properties,
)
from storage.bulk import is_sqlite
from storage.errors import IntakeChanged
from storage.intake import expression
from storage.libpq import Value, ask
from storage.types import DAY_MICROS

OF_ONE_FACT = "day, object_id, metric_id, 1, quantity, quantity, quantity, occurred_at, quantity, occurred_at, quantity"
"""What a fact brings to its day, in the columns of the rollup."""
ALL = ", ".join(ROLLUP)
"""What a day brings that was summed up before."""
ONCE = frozenset({"metric_id", "discriminator", "received_at", "origin", "unkeyed", "day"})
"""Columns that mostly say the same in all rows of a batch; each set of them makes a statement of its own."""
UNIQUE_VIOLATION = "23505"
REPEATS, REPEATS_BATCHES = "metergate_repeats", 20
"""What a connection remembers of a key that was taken, and for how many batches."""


def write(
    connection: Connection, facts: Sequence[Row], described: Mapping[int, int], stands: str | None
) -> Written | None:
    """See `storage.batches.write`; None, and nothing is written, where a key is taken, so that it is the way to go."""
    if is_sqlite(connection):
        return None
    wait = connection.info.get(REPEATS, 0)
    if wait:
        connection.info[REPEATS] = wait - 1
        return None
    days = [fact[0] // DAY_MICROS for fact in facts]
    names, types, rows = with_properties(facts, described)
    table, values = _table((*names, "day"), (*types, "int"), [*zip(*rows, strict=True), days], once=ONCE)
    summed = ""
    if len({(day, fact[1], fact[2]) for day, fact in zip(days, facts, strict=True)}) < len(facts):
        summed, sums = _table(ROLLUP, ROLLUP_TYPES, list(zip(*days_of(facts), strict=True)))
        values += sums
    statement = _statement(names, table, summed, expression(connection))
    try:
        number, still_stands = ask(connection, statement, [stands, *values])
    except IntegrityError as error:
        if getattr(error.orig, "sqlstate", None) != UNIQUE_VIOLATION:
            raise
        # What comes once more seldom comes alone, and a failure costs what the rows before it did.
        connection.info[REPEATS] = REPEATS_BATCHES
        return None
    if still_stands == "f":
        raise IntakeChanged
    return Written(int(number), len(facts))


def _table(
    names: Sequence[str], types: Sequence[str], columns: Sequence[Sequence[Any]], once: Collection[str] = ()
) -> tuple[str, list[Value]]:
    """The columns as a SELECT, and the values of its `%s`; of `once`, what is equal in all rows travels once."""
    words, unnested, alike, arrays = [], [], list[Value](), list[Value]()
    for name, kind, column in zip(names, types, columns, strict=True):
        if name in once and column.count(column[0]) == len(column):
            words.append(f"%s::{kind} AS {name}")
            alike.append(column[0])
        else:
            words.append(name)
            unnested.append((name, kind))
            arrays.append(ARRAYS[kind](column))
    called, made = ", ".join(name for name, _ in unnested), ", ".join(f"%s::{kind}[]" for _, kind in unnested)
    return f"SELECT {', '.join(words)} FROM unnest({made}) AS u({called})", [*alike, *arrays]


@cache
def _statement(names: Sequence[str], facts: str, days: str, intake: str) -> str:
    """The statement for these facts, and for the days that they come to where an object speaks twice of one.

    Values: the text of the intake or nothing, then those of the tables. It writes where that intake stands.
    """
    columns, source, said = ", ".join(names), "fact", OF_ONE_FACT
    if days:
        days, source, said = f"summed AS (SELECT d.*, number FROM ({days}) AS d, batch WHERE stands), ", "summed", ALL
    return (
        f"WITH numbered AS ({NUMBERED} RETURNING last_batch AS number, {intake} AS intake), "
        "batch AS (SELECT number, coalesce(intake = %s, true) AS stands FROM numbered), "
        f"fact AS (SELECT f.*, number FROM ({facts}) AS f, batch WHERE stands), {days}"
        f"written AS (INSERT INTO usage_record ({columns}, batch) SELECT {columns}, number FROM fact), "
        f"touched AS (INSERT INTO usage_day (day, batch) SELECT DISTINCT day, number FROM {source} {TOUCH}), "
        f"added AS ({ROLLUP_INTO} SELECT number, {said} FROM {source} {add('greatest', 'least')}) "
        "SELECT number, stands FROM batch"
    )
