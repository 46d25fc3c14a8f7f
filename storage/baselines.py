"""Baselines of registers, the first readings of all, before which another reading came since."""

from typing import NamedTuple

from sqlalchemy import text
from sqlmodel import Session

from storage.late import MARKS, Touched
from storage.reversals import BESIDE, contracts_of
from storage.sets import list_value, listed


class LateFirst(NamedTuple):
    """A register of which a reading came that is before its baseline; microseconds, scaled quantities."""

    object_id: int
    metric_id: int
    baseline_at: int
    """The beginning of the period whose first reading was taken for the first of all."""
    period_end: int
    baseline: int
    first_at: int
    first: int


def late_firsts(session: Session, touched: Touched) -> list[LateFirst]:
    """The registers whose first reading, of a day touched since the last close, is not their baseline."""
    days, connection = touched.charged, session.connection()
    if not days:
        return []
    rows = connection.execute(
        text(f"""
        SELECT b.object_id, b.metric_id, b.at,
               (SELECT MAX(s.end_at) FROM invoicing_schedule s
                WHERE s.metric_id = b.metric_id AND s.start_at = b.at AND s.status <> 'cancelled'),
               b.quantity, f.first_at, f.first_quantity
        FROM usage_rollup f
        JOIN boundary_value b ON b.object_id = f.object_id AND b.metric_id = f.metric_id AND b.quality = 'baseline'
             AND b.quantity <> f.first_quantity
        WHERE f.batch > (SELECT MIN(mark) FROM ({MARKS}) m) AND f.day {listed(connection, "days")}
              AND f.record_count > 0
              AND NOT EXISTS (SELECT 1 FROM usage_rollup e WHERE e.object_id = f.object_id
                              AND e.metric_id = f.metric_id AND e.day < f.day AND e.record_count > 0)
        ORDER BY b.object_id, b.metric_id, b.at
        """),
        {"days": list_value(connection, days)},
    )
    return [LateFirst(*row) for row in rows]


def begin_earlier(session: Session, late: LateFirst) -> set[int]:
    """Forget a baseline, and have all periods from the first reading to it valued again; the object's contracts."""
    place = {"object_id": late.object_id, "metric_id": late.metric_id, "at": late.baseline_at}
    connection = session.connection()
    connection.execute(
        text("DELETE FROM boundary_value WHERE object_id = :object_id AND metric_id = :metric_id AND at = :at"), place
    )
    between = BESIDE.replace("end_at >= :at", "end_at > :first_at")
    connection.execute(
        text(f"UPDATE invoicing_schedule SET revalue = 1 WHERE {between} AND status IN ('invoiced', 'settled')"),
        {**place, "first_at": late.first_at},
    )
    return contracts_of(session, late.object_id)
