"""Many rows by one statement, on both databases; for the few writes that grow with messages."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, cast

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from storage.arrays import ARRAYS

ROWS_A_STATEMENT = 50
"""A third less time a row than by a statement a row; more rows give no more, and SQLite takes 32,766 values."""


def is_sqlite(connection: Connection) -> bool:
    """Whether the statements go to SQLite rather than PostgreSQL."""
    return connection.dialect.name == "sqlite"


@contextmanager
def driver_errors(connection: Connection) -> Iterator[None]:
    """What the driver raises becomes what SQLAlchemy raises for it."""
    failures = cast("type[Exception]", connection.dialect.loaded_dbapi.Error)
    try:
        yield
    except failures as error:
        raise DBAPIError.instance(None, None, error, failures, dialect=connection.dialect) from error


@contextmanager
def driver_cursor(connection: Connection) -> Iterator[Any]:
    """The driver's own cursor, in the connection's transaction: a statement costs a tenth of one through SQLAlchemy.

    What the driver raises becomes what SQLAlchemy raises for it.
    """
    with driver_errors(connection):
        cursor: Any = connection.connection.cursor()
        try:
            yield cursor
        finally:
            cursor.close()


def insert_rows(connection: Connection, into: str, then: str, same: int, rows: Sequence[tuple[Any, ...]]) -> int:
    """`into VALUES (same, row), (same, row), ... then` (SQLite); returns how many rows were written.

    `same` is a bound value like all others: a connection keeps what it prepared for each of the last hundred texts,
    and a text with a number in it would be a new one every time.
    """
    if not rows:
        return 0
    values = f"(?1, {', '.join('?' * len(rows[0]))})"
    whole = len(rows) - len(rows) % ROWS_A_STATEMENT
    written = 0
    with driver_cursor(connection) as cursor:
        if whole:
            statement = f"{into} VALUES {', '.join([values] * ROWS_A_STATEMENT)} {then}"
            for start in range(0, whole, ROWS_A_STATEMENT):
                some = rows[start : start + ROWS_A_STATEMENT]
                cursor.execute(statement, tuple(chain.from_iterable(((same,), *some))))
                written += cursor.rowcount
        if whole < len(rows):
            cursor.executemany(f"{into} VALUES {values} {then}", ((same, *row) for row in rows[whole:]))
            written += cursor.rowcount
    return written


def write_many(connection: Connection, sql: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Run `sql` (with `?` for values) for every row; returns how many rows were written."""
    if not rows:
        return 0
    with driver_cursor(connection) as cursor:
        cursor.executemany(sql if is_sqlite(connection) else sql.replace("?", "%s"), rows)
        return int(cursor.rowcount)


def write_columns(
    connection: Connection, sql: str, types: Sequence[str], rows: Sequence[tuple[Any, ...]], *first: object
) -> int:
    """Run `sql` once for all rows (PostgreSQL), where `{rows}` stands for them; returns how many rows were written.

    A column travels as one array: a statement a row would cost a round trip each. `first` are the values before the
    rows in `sql`, a `%s` each.
    """
    if not rows:
        return 0
    arrays = ", ".join(f"%s::{name}[]" for name in types)
    columns = (ARRAYS[name](column) for name, column in zip(types, zip(*rows, strict=True), strict=True))
    with driver_cursor(connection) as cursor:
        return int(cursor.execute(sql.format(rows=f"unnest({arrays})"), (*first, *columns)).rowcount)
