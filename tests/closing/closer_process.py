"""Closers in processes of their own that meet at one statement, so that they are at work at the same time."""

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import event

from billing.close import close
from storage.database import Database
from tests.faults.gateway_process import die

SECONDS_MAX = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """What all closers do, and the start of the first statement at which they wait for each other."""

    url: str
    until: date
    now: datetime
    meet_at: str


def run_closers(closing: Closing, dying: Sequence[bool]) -> tuple[list[int | None], list[int]]:
    """Exit codes of all, and what each that lived has issued; those that are `dying` do so where they meet."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    meeting, issued = context.Barrier(len(dying)), context.SimpleQueue()
    children: list[Any] = [
        context.Process(target=_close, args=(closing, meeting, issued, dies), daemon=True) for dies in dying
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(SECONDS_MAX)
    return [child.exitcode for child in children], [issued.get() for child in children if child.exitcode == 0]


def _close(closing: Closing, meeting: Any, issued: Any, dies: bool) -> None:  # noqa: FBT001 - the target of a process
    database = Database(closing.url)
    met = False

    def meet(_connection: Any, _cursor: Any, sql: str, *_: Any) -> None:
        nonlocal met
        if not met and sql.startswith(closing.meet_at):
            met = True
            meeting.wait(SECONDS_MAX)
            if dies:
                die()

    event.listen(database.engine, "before_cursor_execute", meet)
    report = close(database, closing.until, closing.now)
    assert report.failures == ()
    issued.put(len(report.invoices))
    database.dispose()
