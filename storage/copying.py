"""Rows into a table by COPY, the cheapest way into PostgreSQL: no parsing, no parameters, one message for many rows."""

from collections.abc import Iterable
from typing import Any, cast

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError


def copy_rows(connection: Connection, table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Insert rows in the connection's transaction; what the driver raises becomes what SQLAlchemy raises for it."""
    sql = f"COPY {table} ({columns}) FROM STDIN"
    failures = cast("type[Exception]", connection.dialect.loaded_dbapi.Error)
    try:
        with cast("Any", connection.connection.cursor()) as cursor, cursor.copy(sql) as copy:
            for row in rows:
                copy.write_row(row)
    except failures as error:
        raise DBAPIError.instance(sql, None, error, failures, dialect=connection.dialect) from error
