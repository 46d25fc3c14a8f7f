"""The schedules that gaps touch: what a close is about to charge and may not know whole.

The law: a register is whole again with its next reading, so a gap before it touches none of its schedules.
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import Date, bindparam, text
from sqlmodel import Session

from storage.sets import list_value, listed
from storage.types import DAY_MICROS, from_micros

END = "COALESCE(g.ends_at, s.end_at)"
"""A gap that lasts touches everything from its start on."""


def _caught_up(object_id: str) -> str:
    """Whether the register has a reading after the gap."""
    return f"""
        COALESCE(m.kind, '') = 'cumulative' AND g.ends_at IS NOT NULL AND EXISTS (
            SELECT 1 FROM usage_rollup r WHERE r.object_id = {object_id} AND r.metric_id = s.metric_id
                   AND r.record_count > 0 AND r.day >= g.ends_at / {DAY_MICROS} AND r.last_at >= g.ends_at)
    """


TOUCHED = f"""
    SELECT g.id, g.reason, g.starts_at, g.ends_at, s.contract_id, s.id, s.object_id
    FROM reception_gap g
    JOIN invoicing_schedule s ON s.start_at <= {END} AND s.end_at > g.starts_at
    JOIN charge c ON c.id = s.charge_id AND c.type IN ('usage', 'event')
    LEFT JOIN metric m ON m.id = s.metric_id
    WHERE g.cleared_at IS NULL AND s.contract_id {{contracts}}
          AND s.status IN ('planned', 'valued') AND s.due_on <= :due_through
          AND (g.metric_id IS NULL OR g.metric_id = s.metric_id)
          AND CASE WHEN s.object_id IS NOT NULL
              THEN (g.object_id IS NULL OR g.object_id = s.object_id) AND NOT ({_caught_up("s.object_id")})
              ELSE EXISTS (
                  SELECT 1 FROM contract_item i
                  WHERE i.contract_id = s.contract_id
                        AND (c.scope = 'contract' OR i.subscription_id = s.subscription_id)
                        AND i.status <> 'cancelled' AND i.start_at <= {END} AND i.end_at > g.starts_at
                        AND (g.object_id IS NULL OR g.object_id = i.object_id) AND NOT ({_caught_up("i.object_id")}))
              END
    ORDER BY g.starts_at, g.id, s.id
"""


COVERED = """
    UPDATE reception_gap AS g SET cleared_at = :now, cleared_by = 'register'
    WHERE g.cleared_at IS NULL AND g.reason = 'sequence' AND {some} AND NOT {other}
"""
MEASURED = f"""
    EXISTS (SELECT 1 FROM invoicing_schedule s
            JOIN charge c ON c.id = s.charge_id AND c.type IN ('usage', 'event')
            LEFT JOIN metric m ON m.id = s.metric_id
            WHERE s.object_id = g.object_id AND s.status <> 'cancelled' AND s.start_at <= {END}
                  AND s.end_at > g.starts_at AND {{condition}})
"""


class Touched(NamedTuple):
    """A schedule and a gap that touches it; `ends_at` is None while the gap lasts."""

    gap_id: int
    reason: str
    starts_at: datetime
    ends_at: datetime | None
    contract_id: int
    schedule_id: int
    object_id: int | None


def clear_covered(session: Session, now: int) -> int:
    """Clear the gaps of numbers of objects of which only registers are billed, with a reading since; how many."""
    caught_up = _caught_up("s.object_id")
    statement = COVERED.format(
        some=MEASURED.format(condition=f"({caught_up})"), other=MEASURED.format(condition=f"NOT ({caught_up})")
    )
    return session.connection().execute(text(statement), {"now": now}).rowcount


def any_open(session: Session) -> bool:
    """Whether any gap is not cleared: only then there is anything to look for."""
    query = text("SELECT 1 FROM reception_gap WHERE cleared_at IS NULL LIMIT 1")
    return session.connection().execute(query).first() is not None


def touched(session: Session, contract_ids: Iterable[int], due_through: date) -> list[Touched]:
    """Schedules of these contracts, to be charged and due by a day, whose usage may be incomplete, with each gap."""
    connection = session.connection()
    statement = text(TOUCHED.format(contracts=listed(connection, "ids"))).bindparams(
        bindparam("due_through", type_=Date)
    )
    rows = connection.execute(statement, {"ids": list_value(connection, contract_ids), "due_through": due_through})
    return [
        Touched(
            gap, reason, from_micros(start), None if end is None else from_micros(end), contract, schedule, object_id
        )
        for gap, reason, start, end, contract, schedule, object_id in rows.all()
    ]
