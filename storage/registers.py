"""The SQL of registers at the end of an item: no later period follows there that could charge what comes late."""

from collections.abc import Iterable

from sqlalchemy import text
from sqlmodel import Session

from storage.sets import list_value, listed
from storage.types import DAY_MICROS

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


def late_ends(session: Session) -> list[tuple[int, int]]:
    """Contract and id of the charged last schedules of registers that a reading came for, whatever its period."""
    rows = session.connection().execute(
        text(f"""
        WITH mark AS (SELECT contract_id, MAX(usage_mark) AS mark FROM billing_month GROUP BY contract_id)
        SELECT DISTINCT s.contract_id, s.id
        FROM usage_rollup r
        JOIN metric k ON k.id = r.metric_id AND k.kind = 'cumulative'
        JOIN invoicing_schedule s ON s.object_id = r.object_id AND s.metric_id = r.metric_id
             AND s.end_at > r.day * {DAY_MICROS}
        JOIN contract_item i ON i.id = s.contract_item_id AND i.end_at <= s.end_at
        JOIN mark m ON m.contract_id = s.contract_id
        WHERE r.batch > (SELECT MIN(mark) FROM mark) AND r.batch > m.mark AND s.status IN ('invoiced', 'settled')
              AND {NOTHING_LATER}
        """)
    )
    return [(row[0], row[1]) for row in rows]
