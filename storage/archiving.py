"""What still needs the usage records of a month."""

from sqlalchemy import text
from sqlmodel import Session

from storage.late import late_schedules, touched_days
from storage.types import DAY_MICROS


def open_schedules(session: Session, *, start: int, end: int) -> int:
    """How many schedules that measure usage of `[start, end)` may still be valued.

    A day more on both sides: registers read the day before a period begins. Late usage counts: its schedules are
    valued again by the next close.
    """
    late = {identity for found in late_schedules(session, touched_days(session)).values() for identity in found}
    rows = session.connection().execute(
        text(
            "SELECT id, status, revalue FROM invoicing_schedule WHERE metric_id IS NOT NULL "
            "AND start_at < :end AND end_at > :start"
        ),
        {"start": start - DAY_MICROS, "end": end + DAY_MICROS},
    )
    return sum(
        status in {"planned", "valued"} or revalue != 0 or identity in late for identity, status, revalue in rows
    )
