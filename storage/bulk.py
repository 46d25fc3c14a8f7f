"""Many rows by one statement, on both databases; for the few writes that grow with messages."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection


def is_sqlite(connection: Connection) -> bool:
    """Whether the statements go to SQLite rather than PostgreSQL."""
    return connection.dialect.name == "sqlite"


def write_many(connection: Connection, sql: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Run `sql` (with `?` for values) for every row; returns how many rows were written."""
    if not rows:
        return 0
    statement = sql if is_sqlite(connection) else sql.replace("?", "%s")
    result = connection.execution_options(preserve_rowcount=True).exec_driver_sql(statement, list(rows))
    return int(result.rowcount)


def write_columns(connection: Connection, sql: str, types: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> int:
    """Run `sql` once for all rows (PostgreSQL), where `{rows}` stands for them; returns how many rows were written.

    A column travels as one array: a statement a row would cost a round trip each.
    """
    if not rows:
        return 0
    arrays = ", ".join(f"%s::{name}[]" for name in types)
    columns = tuple(
        [None if value is None else int(value) for value in column] if name == "int" else list(column)
        for name, column in zip(types, zip(*rows, strict=True), strict=True)
    )
    return int(connection.exec_driver_sql(sql.format(rows=f"unnest({arrays})"), columns).rowcount)
