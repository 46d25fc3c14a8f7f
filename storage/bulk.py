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
