"""One close in a process of its own, which says its seconds, statements and memory, and what SQLite counted of rows.

It imports what closes and no more, so that the memory is that of a close:
python -m benchmarks.close_once URL DAY [--again]
"""

import json
import sqlite3
import sys
import time
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import configure_mappers

from benchmarks.memory import peak_mebibytes
from billing.close import close
from storage.database import Database

AGAIN = "--again"
NOW = datetime(2026, 7, 10, tzinfo=UTC)


def main(url: str, until: date, *, again: bool = False) -> dict[str, Any]:
    """Close until that day, in a process that is up: what SQLAlchemy works out once about the tables is done before.

    `again` is a process that has closed before, as one that is run by the month has: it tries the same close first.
    """
    configure_mappers()
    database = Database(url)
    if again:
        assert close(database, until, NOW, dry_run=True).failures == ()
    statements: list[None] = []
    files: list[sqlite3.Connection] = []

    @event.listens_for(database.engine, "connect")
    def _opened(connection: Any, _record: object) -> None:
        if database.is_sqlite:
            files.append(connection)

    @event.listens_for(database.engine, "before_cursor_execute")
    def _count(*_: object) -> None:
        statements.append(None)

    with database.snapshot() as session:
        session.connection()
    idle = peak_mebibytes()
    began, processor = time.monotonic(), time.process_time()
    report = close(database, until, NOW)
    seconds, processor = time.monotonic() - began, time.process_time() - processor
    peak = peak_mebibytes()
    assert report.failures == (), report.failures
    rows = sum(connection.total_changes for connection in files)
    database.dispose()
    return {
        "seconds": seconds,
        "processor": processor,
        "statements": len(statements),
        "rows": rows,
        "peak": peak,
        "idle": idle,
        "invoices": len(report.invoices),
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], date.fromisoformat(sys.argv[2]), again=AGAIN in sys.argv)))
