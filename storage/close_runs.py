"""Closes that were started over HTTP: one at a time, each with its progress and its report."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlmodel import Session, col, func, select, update

from storage.catalogue import take_turns
from storage.tables import BillingMonth, CloseRun

SILENT = timedelta(seconds=60)
"""A close that was not heard for so long has lost its process: several of its beats are missing."""


def status_of(run: CloseRun, now: datetime) -> str:
    """Where a close stands: as it is noted, or `lost` when its process ended in the middle."""
    return "lost" if run.status == "running" and now - run.heard_at >= SILENT else run.status


def running(session: Session) -> CloseRun | None:
    """The close that is running; nobody starts one until the commit."""
    take_turns(session, "close_run")
    return session.exec(select(CloseRun).where(CloseRun.status == "running")).first()


def add(session: Session, *, until: date, asked_by: str, now: datetime, months_due: int = 0) -> CloseRun:
    """Note that a close begins; that none is running was looked for in this transaction."""
    row = CloseRun(until=until, asked_by=asked_by, started_at=now, heard_at=now, months_due=months_due)
    session.add(row)
    session.flush()
    return row


def find(session: Session, identity: int) -> CloseRun | None:
    return session.get(CloseRun, identity)


def newest(session: Session, *, before: int | None, limit: int) -> Sequence[CloseRun]:
    """The closes that were started, the newest first; with `before`, those with a smaller id."""
    query = select(CloseRun).order_by(col(CloseRun.id).desc()).limit(limit)
    return session.exec(query if before is None else query.where(col(CloseRun.id) < before)).all()


def months_closed(session: Session, run: CloseRun) -> int:
    """How many months of contracts the close has closed so far: it gives them all the instant of its start."""
    query = select(func.count()).select_from(BillingMonth).where(BillingMonth.closed_at == run.started_at)
    return session.exec(query).one()


def beat(session: Session, identity: int, now: datetime) -> None:
    """Note that the close is still worked at."""
    session.exec(update(CloseRun).where(col(CloseRun.id) == identity).values(heard_at=now))


def finish(
    session: Session,
    identity: int,
    *,
    status: str,
    now: datetime,
    message: str = "",
    report: Mapping[str, Any] | None = None,
) -> None:
    """Note what the close came to; one that was given up meanwhile is left alone."""
    session.exec(
        update(CloseRun)
        .where(col(CloseRun.id) == identity, col(CloseRun.status) == "running")
        .values(status=status, heard_at=now, finished_at=now, message=message, report=report)
    )
