"""A close in a process of its own that dies before its n-th step; a step is a statement or a commit."""

import multiprocessing
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from sqlalchemy import event

from billing.close import close
from storage.database import Database
from tests.faults.gateway_process import die

SECONDS_MAX = 60


def close_watched(url: str, until: date, now: datetime, on_step: Callable[[str], None]) -> None:
    """Close, and call `on_step` before every statement and every commit."""
    database = Database(url)
    event.listen(database.engine, "before_cursor_execute", lambda _c, _cursor, sql, *_: on_step(sql))
    event.listen(database.engine, "commit", lambda _c: on_step("COMMIT"))
    try:
        report = close(database, until, now)
    finally:
        database.dispose()
    assert report.failures == ()


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
