"""A close in a process of its own that dies before its n-th step; a step is a statement or a commit.

It is watched in the drivers: no event of SQLAlchemy sees the statements that go past it.
"""

import multiprocessing
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import psycopg
from sqlalchemy import event

from billing.close import close
from storage.database import Database
from tests.faults.gateway_process import die

SECONDS_MAX = 60


def close_watched(url: str, until: date, now: datetime, on_step: Callable[[str], None]) -> None:
    """Close, and call `on_step` before every statement and every commit."""
    database = Database(url)
    if database.is_sqlite:
        event.listen(database.engine, "connect", lambda driver, _record: driver.set_trace_callback(on_step))
    else:
        event.listen(database.engine, "connect", lambda driver, _record: watch(driver, on_step))
        event.listen(database.engine, "commit", lambda _c: on_step("COMMIT"))
    try:
        report = close(database, until, now)
    finally:
        database.dispose()
    assert report.failures == ()


def watch(driver: "psycopg.Connection[Any]", on_step: Callable[[str], None]) -> None:
    """Call `on_step` before each statement of the cursors of this connection."""

    class Watched(psycopg.Cursor[Any]):
        def execute(self, query: Any, *others: Any, **named: Any) -> Any:
            on_step(str(query))
            return super().execute(query, *others, **named)

        def executemany(self, query: Any, *others: Any, **named: Any) -> None:
            on_step(str(query))
            super().executemany(query, *others, **named)

        def copy(self, statement: Any, *others: Any, **named: Any) -> Any:
            on_step(str(statement))
            return super().copy(statement, *others, **named)

    driver.cursor_factory = Watched


def killed(url: str, until: date, now: datetime, step: int) -> int | None:
    """Run a close in a child that dies before its step number `step` (from 0); the child's exit code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    child: Any = context.Process(target=_close_until, args=(url, until, now, step), daemon=True)
    child.start()
    child.join(SECONDS_MAX)
    return child.exitcode  # type: ignore[no-any-return] # the context's Process is untyped


def _close_until(url: str, until: date, now: datetime, step: int) -> None:
    taken = 0

    def count(_statement: str) -> None:
        nonlocal taken
        if taken == step:
            die()
        taken += 1

    close_watched(url, until, now, count)
