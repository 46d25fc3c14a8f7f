"""The SQL of registers at the end of an item: no later period follows there that could charge what comes late."""

from collections.abc import Iterable

from sqlalchemy import text
from sqlmodel import Session

from storage.sets import list_value, listed

NOTHING_LATER = """
    NOT EXISTS (
        SELECT 1 FROM invoicing_schedule l
        WHERE l.object_id = s.object_id AND l.metric_id = s.metric_id AND l.start_at >= s.end_at
              AND l.status <> 'cancelled'
    )
"""


def followed_by_nothing(session: Session, schedule_ids: Iterable[int]) -> set[int]:
    """Those of the schedules after which no schedule measures the same register."""
    connection = session.connection()
    rows = connection.execute(
        text(f"SELECT s.id FROM invoicing_schedule s WHERE s.id {listed(connection, 'ids')} AND {NOTHING_LATER}"),
        {"ids": list_value(connection, schedule_ids)},
    )
    return {row[0] for row in rows}
