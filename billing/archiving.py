"""When the usage records of a month may leave the database, and come back.

The law: what may still be valued keeps its records. The rollup always stays; with the records of a month away, what
would need them is refused in a sentence, never valued without them.
"""

from datetime import date, datetime, timedelta

from sqlmodel import Session

from billing.core.errors import NotFound, Refused
from storage import archiving, partitions
from storage.types import from_micros

KEPT_DAYS = 92
"""After its end a month stays so long at least: longer than a message's first time is remembered (90 days)."""


def detach(session: Session, month: date, now: datetime) -> None:
    """Detach the records of a UTC month. Raises Refused while something of it is open, NotFound without a partition."""
    start, end = partitions.bounds(month)
    free_from = from_micros(end) + timedelta(days=KEPT_DAYS)
    if now < free_from:
        raise Refused(f"the records of {month:%Y-%m} stay until {free_from:%Y-%m-%d}: late usage still comes")
    waiting = archiving.open_schedules(session, start=start, end=end)
    if waiting:
        raise Refused(
            f"{waiting} schedules that measure usage of {month:%Y-%m} are not closed; run `metergate close` first"
        )
    if not partitions.detach(session, month, now):
        raise NotFound(
            f"{month:%Y-%m} has no partition of its own; `metergate partitions list` shows those there are, "
            f"`metergate partitions split {month:%Y-%m}` makes it"
        )


def attach(session: Session, month: date) -> None:
    """Bring a detached month back. Raises NotFound when it is not detached or its table was dropped."""
    if not partitions.attach(session, month):
        raise NotFound(f"{month:%Y-%m} is not detached, or its table {partitions.name_of(month)} is gone")


def require_records(session: Session, start: int, end: int) -> None:
    """Raise Refused when records of `[start, end)` (microseconds) are archived."""
    if found := partitions.archived_between(session, start, end):
        raise Refused(f"{said(found)}; `metergate partitions attach {found[0]:%Y-%m}` brings them back")


def said(months: list[date]) -> str:
    """The sentence for months whose records are away."""
    return f"the usage records of {', '.join(f'{month:%Y-%m}' for month in months)} are archived"
