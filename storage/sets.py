"""Statements over many rows at once, the same on both databases: sets of ids, sums that cannot overflow, columns."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlmodel import Session, col, select

ARRAY_ROWS = 50_000
"""Rows in one statement on PostgreSQL: large enough that its cost does not show, small enough for the memory."""

CHUNK = 5000
"""Ids in one statement: below the 32,766 values of SQLite and the 65,535 of PostgreSQL."""

DENSE_MIN = 1000
"""Ids below which a list costs nothing."""

HALF = 10**9
"""SQLite adds up in two halves, so that no 64-bit sum can overflow; they are put together in Python."""

T = TypeVar("T")


def batched(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The values in runs of at most `size`."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


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


def within(connection: Connection, name: str, ids: Collection[int]) -> tuple[str, dict[str, Any]]:
    """The condition that a column is in a set of ids, or near it, and its values; the caller lets go of the others.

    Looking up each of millions of rows in a list of a whole fleet takes PostgreSQL as long as reading them; so where
    the ids lie close together all from the least to the greatest are read.
    """
    dense = len(ids) >= DENSE_MIN and 2 * len(ids) > max(ids) - min(ids)
    if dense and connection.dialect.name != "sqlite":
        return f"BETWEEN :{name}_least AND :{name}_most", {f"{name}_least": min(ids), f"{name}_most": max(ids)}
    return listed(connection, name), {name: list_value(connection, ids)}


def in_chunks(session: Session, ids: Iterable[Any], table: type[T], column: Any) -> Iterator[T]:
    """The rows of a table whose column is one of many ids."""
    for chunk in batched(sorted(set(ids)), CHUNK):
        yield from session.exec(select(table).where(col(column).in_(chunk)))


def halves(connection: Connection, column: str) -> str:
    """The sum of a column as `high * HALF + low`; PostgreSQL's own sum of integers has no limit and costs less."""
    if connection.dialect.name == "sqlite":
        return f"SUM({column} / {HALF}) AS high, SUM({column} % {HALF}) AS low"
    return f"0 AS high, SUM({column}) AS low"


def write_columns(connection: Connection, *, sqlite: str, postgresql: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write rows by one statement: prepared and repeated on SQLite, one array a column on PostgreSQL.

    The values are numbers and words: nothing in them needs to be escaped, so the arrays are put together here.
    """
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(sqlite, list(rows))
        return
    for chunk in batched(rows, ARRAY_ROWS):
        arrays = tuple(f"{{{','.join(map(str, column))}}}" for column in zip(*chunk, strict=True))
        connection.exec_driver_sql(postgresql, arrays)
