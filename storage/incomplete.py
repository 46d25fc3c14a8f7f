"""The schedules that gaps touch: what a close is about to charge and may not know whole.

The law: a register is whole again with its next reading, so a gap before it touches none of its schedules.
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import Date, bindparam, text
from sqlmodel import Session, col, select

from storage.sets import day_of, list_value, listed
from storage.tables import Contract
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


MAY_LACK = """
    JOIN charge c ON c.id = s.charge_id AND c.type IN ('usage', 'event')
    LEFT JOIN metric m ON m.id = s.metric_id
    WHERE g.cleared_at IS NULL AND {which} AND s.contract_id {contracts} AND s.due_on <= :due_through
          AND (g.metric_id IS NULL OR g.metric_id = s.metric_id)
"""
FOUND = "SELECT g.id, g.reason, g.starts_at, g.ends_at, s.contract_id, s.id, s.object_id, s.due_on FROM reception_gap g"
DURING = f"s.start_at <= {END} AND s.end_at > g.starts_at"
IN_POOL = f"""
    EXISTS (SELECT 1 FROM contract_item i
            WHERE i.contract_id = s.contract_id AND (c.scope = 'contract' OR i.subscription_id = s.subscription_id)
                  AND i.status <> 'cancelled' AND i.start_at <= {END} AND i.end_at > g.starts_at
                  AND {{of}} AND NOT ({_caught_up("i.object_id")}))
"""
OF_OBJECT = f"g.object_id IS NOT NULL AND NOT ({_caught_up('s.object_id')})"
OF_ALL = f"g.object_id IS NULL AND NOT ({_caught_up('s.object_id')})"
TOUCHED = f"""
    {FOUND} JOIN invoicing_schedule s ON s.object_id = g.object_id AND {DURING} {MAY_LACK} AND {OF_OBJECT}
    UNION ALL
    {FOUND} JOIN invoicing_schedule s ON s.object_id IS NOT NULL AND {DURING} {MAY_LACK} AND {OF_ALL}
    UNION ALL
    {FOUND} JOIN contract_item o ON o.object_id = g.object_id AND o.status <> 'cancelled'
    JOIN invoicing_schedule s ON s.contract_id = o.contract_id AND s.object_id IS NULL AND {DURING} {MAY_LACK}
         AND {IN_POOL.format(of="i.id = o.id")}
    UNION ALL
    {FOUND} JOIN invoicing_schedule s ON s.object_id IS NULL AND {DURING} {MAY_LACK} AND g.object_id IS NULL
         AND {IN_POOL.format(of="g.object_id IS NULL")}
    ORDER BY 3, 1, 6
"""
"""Gaps of one object find its schedules; those of all objects look at every schedule, and they are few."""
TO_CHARGE = "s.status IN ('planned', 'valued')"
CHARGED_BEFORE = """
    s.status IN ('invoiced', 'settled') AND g.recorded_at > (
        SELECT MAX(b.closed_at) FROM billing_month b WHERE b.contract_id = s.contract_id
    )
"""
"""What the last close, which did not know of the gap, had charged already."""


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
    due_on: date


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


def touched(
    session: Session, contract_ids: Iterable[int], due_through: date, *, charged: bool = False
) -> list[Touched]:
    """Schedules of these contracts, to be charged and due by a day, whose usage may be incomplete, with each gap.

    With `charged` those that were charged before a gap was found, since the last close of their contract.
    """
    connection = session.connection()
    statement = text(
        TOUCHED.format(contracts=listed(connection, "ids"), which=CHARGED_BEFORE if charged else TO_CHARGE)
    ).bindparams(bindparam("due_through", type_=Date))
    rows = connection.execute(statement, {"ids": list_value(connection, contract_ids), "due_through": due_through})
    return [
        Touched(
            gap_id=gap,
            reason=reason,
            starts_at=from_micros(start),
            ends_at=None if end is None else from_micros(end),
            contract_id=contract,
            schedule_id=schedule,
            object_id=object_id,
            due_on=day_of(due_on),
        )
        for gap, reason, start, end, contract, schedule, object_id, due_on in dict.fromkeys(map(tuple, rows))
    ]


def charged_in_gaps(session: Session) -> tuple[int, int]:
    """How many gaps are open, and how many schedules of a usage or event were charged although one touches them."""
    contracts = select(col(Contract.id))
    ids = [identity for identity in session.exec(contracts) if identity is not None]
    connection = session.connection()
    statement = text(
        TOUCHED.format(contracts=listed(connection, "ids"), which="s.status IN ('invoiced', 'settled')")
    ).bindparams(bindparam("due_through", type_=Date))
    rows = connection.execute(statement, {"ids": list_value(connection, ids), "due_through": date.max})
    found = [(row[0], row[5]) for row in rows]
    return len({gap for gap, _ in found}), len({schedule for _, schedule in found})
