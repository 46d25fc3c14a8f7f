"""The SQL of registers at the ends of periods: the values that are kept, and where no later period follows.

At the end of an item nothing follows that could charge what comes late.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlmodel import Session, select

from storage.sets import list_value, listed
from storage.tables import BoundaryValue

NOTHING_LATER = """
    NOT EXISTS (
        SELECT 1 FROM invoicing_schedule l
        WHERE l.object_id = s.object_id AND l.metric_id = s.metric_id AND l.start_at >= s.end_at
              AND l.status <> 'cancelled'
    )
"""


class StoredBoundary(NamedTuple):
    """What a register stood at, at the end of a period (microseconds); a scaled quantity."""

    at: int
    quantity: int
    quality: str


def boundaries_of(session: Session, object_id: int, metric_id: int) -> list[StoredBoundary]:
    """The values of a register that are kept, in order of time."""
    rows = session.connection().execute(
        text(
            "SELECT at, quantity, quality FROM boundary_value WHERE object_id = :object_id "
            "AND metric_id = :metric_id ORDER BY at"
        ),
        {"object_id": object_id, "metric_id": metric_id},
    )
    return [StoredBoundary(*row) for row in rows]


def qualities_of(session: Session, object_id: int) -> dict[tuple[int | None, datetime], str]:
    """How the values of an object's registers are known, by metric and instant."""
    query = select(BoundaryValue).where(BoundaryValue.object_id == object_id)
    return {(row.metric_id, row.at): row.quality for row in session.exec(query)}


def followed_by_nothing(session: Session, schedule_ids: Iterable[int]) -> set[int]:
    """Those of the schedules after which no schedule measures the same register."""
    connection = session.connection()
    rows = connection.execute(
        text(f"SELECT s.id FROM invoicing_schedule s WHERE s.id {listed(connection, 'ids')} AND {NOTHING_LATER}"),
        {"ids": list_value(connection, schedule_ids)},
    )
    return {row[0] for row in rows}
