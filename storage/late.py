"""Charged schedules for which usage came, or was taken back, after the close that charged them.

The law: one walk over the rollup rows of the days that were touched above the lowest mark, whatever the number of
contracts; and where a period begins or ends inside a UTC day, whose rollup cannot say on which side the new record
lies, one look at that part of it.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection, text
from sqlmodel import Session

from storage.registers import NOTHING_LATER
from storage.sets import list_value, listed
from storage.types import DAY_MICROS

MARKS = "SELECT contract_id, MAX(usage_mark) AS mark FROM billing_month GROUP BY contract_id"
CHARGED = "s.status IN ('invoiced', 'settled')"
TOUCHED = f"""
    WITH mark AS ({MARKS}),
    touched AS (
        SELECT r.object_id, r.metric_id, r.batch,
               r.day * {DAY_MICROS} AS day_start, (r.day + 1) * {DAY_MICROS} AS day_end
        FROM usage_rollup r WHERE r.batch > (SELECT MIN(mark) FROM mark) AND r.day {{days}}
    )
"""
"""What was touched since the marks on some days, given as values: an estimate would make PostgreSQL read every day."""
INSIDE = "s.start_at <= t.day_start AND s.end_at >= t.day_end"
TOUCHES = "s.start_at < t.day_end AND s.end_at > t.day_start"
NOT_OVER = "s.end_at > t.day_start"
"""Of every schedule that a day is in or before."""
OF_OBJECT = "JOIN invoicing_schedule s ON s.object_id = t.object_id AND s.metric_id = t.metric_id"
OF_POOL = """
    JOIN contract_item i ON i.object_id = t.object_id AND i.status <> 'cancelled'
    JOIN invoicing_schedule s ON s.contract_id = i.contract_id AND s.contract_item_id IS NULL
         AND s.metric_id = t.metric_id
"""
NEWER = f"JOIN mark m ON m.contract_id = s.contract_id WHERE t.batch > m.mark AND {CHARGED}"


class _Edge(NamedTuple):
    """A part of a UTC day that belongs to the periods `[start, end)` of a metric."""

    metric_id: int
    start: int
    end: int
    from_at: int
    until_at: int


class Touched(NamedTuple):
    """Days, by number since 1970, on which late usage may be: `charged`, and the same `with_next` day after them."""

    charged: list[int]
    with_next: list[int]


def late_schedules(session: Session, touched: Touched) -> dict[int, list[int]]:
    """By contract, the charged schedules whose usage was touched by a batch above the contract's last mark."""
    found: dict[int, set[int]] = defaultdict(set)
    edges = []
    if not touched.charged:
        return {}
    connection = session.connection()
    rows = connection.execute(
        text(f"""
        {_touched(connection)}
        SELECT DISTINCT {_of("s.contract_id", inside=True)}, {_of("s.id", inside=True)},
               {", ".join(_of(name, inside=False) for name in ("s.metric_id", "s.start_at", "s.end_at", "t.day_start"))}
        FROM touched t {OF_OBJECT} AND {TOUCHES} {NEWER}
        """),
        {"days": list_value(connection, touched.charged)},
    )
    for contract_id, schedule_id, metric_id, start, end, day in rows.all():
        if schedule_id:
            found[contract_id].add(schedule_id)
        else:
            edges.append(_Edge(metric_id, start, end, max(start, day), min(end, day + DAY_MICROS)))
    for edge in edges:
        for contract_id, schedule_id in _late_at(session, edge):
            found[contract_id].add(schedule_id)
    return {contract_id: sorted(ids) for contract_id, ids in found.items()}


def touched_days(session: Session) -> Touched:
    """The charged UTC days that were touched since the lowest mark; what came for a day after them is not late."""
    last = f"""
        SELECT MAX(s.end_at) / {DAY_MICROS} AS day FROM invoicing_schedule s WHERE s.metric_id IS NOT NULL AND {CHARGED}
    """
    rows = session.connection().execute(
        text(f"""
        SELECT d.day, d.day <= l.day FROM usage_day d, ({last}) l
        WHERE d.batch > (SELECT MIN(mark) FROM ({MARKS}) m) AND d.day <= l.day + 1
        """)
    )
    found = [(row[0], bool(row[1])) for row in rows]
    return Touched([day for day, charged in found if charged], [day for day, _ in found])


def _touched(connection: Connection) -> str:
    return TOUCHED.format(days=listed(connection, "days"))


def _of(column: str, *, inside: bool) -> str:
    """The column where a touched day is (or is not) wholly inside the schedule, else 0: both in one walk."""
    return f"CASE WHEN {'' if inside else 'NOT '}({INSIDE}) THEN {column} ELSE 0 END"


def late_levels(
    session: Session, touched: Touched, charge_ids: Iterable[int], *, of_pools: bool
) -> list[tuple[int, int]]:
    """Contract and id of the charged schedules into which a level is carried that a newer record changes."""
    connection, days = session.connection(), touched.charged
    if not days:
        return []
    ids = {"charge_ids": list_value(connection, charge_ids), "days": list_value(connection, days)}
    found: list[tuple[int, int]] = []
    for schedules in (OF_OBJECT, OF_POOL) if of_pools else (OF_OBJECT,):
        rows = connection.execute(
            text(f"""
            {_touched(connection)}
            SELECT DISTINCT s.contract_id, s.id FROM touched t {schedules} AND {NOT_OVER} {NEWER}
                   AND s.charge_id {listed(connection, "charge_ids")}
            """),
            ids,
        )
        found += [(row[0], row[1]) for row in rows]
    return found


def late_ends(session: Session, touched: Touched) -> list[tuple[int, int]]:
    """Contract and id of the charged last schedules of registers that a reading came for, whatever its period."""
    connection, days = session.connection(), touched.charged
    if not days:
        return []
    rows = connection.execute(
        text(f"""
        {_touched(connection)}
        SELECT DISTINCT s.contract_id, s.id FROM touched t
        JOIN metric k ON k.id = t.metric_id AND k.kind = 'cumulative'
        {OF_OBJECT} AND {NOT_OVER}
        JOIN contract_item i ON i.id = s.contract_item_id AND i.end_at <= s.end_at
        {NEWER} AND {NOTHING_LATER}
        """),
        {"days": list_value(connection, days)},
    )
    return [(row[0], row[1]) for row in rows]


def late_pools(session: Session, touched: Touched) -> list[tuple[int, int]]:
    """Contract and id of charged schedules of pools in which an object has a record newer than the last close.

    An item that came from another zone may begin within a day of its period. Of a register also the periods after the
    record: it is what they begin with.
    """
    connection, days = session.connection(), touched.with_next
    if not days:
        return []
    rows = connection.execute(
        text(f"""
        {_touched(connection)}
        SELECT DISTINCT s.contract_id, s.id FROM touched t
        JOIN metric k ON k.id = t.metric_id
        {OF_POOL} AND s.end_at > t.day_start - {DAY_MICROS}
        {NEWER} AND (s.start_at < t.day_end + {DAY_MICROS} OR k.kind = 'cumulative')
        """),
        {"days": list_value(connection, days)},
    )
    return [(row[0], row[1]) for row in rows]


def _late_at(session: Session, edge: _Edge) -> list[tuple[int, int]]:
    """Contract and id of the charged schedules over exactly the periods of an edge that it has something late for."""
    inside = (
        "occurred_at >= :from_at AND occurred_at < :until_at AND metric_id = :metric_id "
        "AND batch > (SELECT MIN(mark) FROM mark)"
    )
    rows = session.connection().execute(
        text(f"""
        WITH mark AS ({MARKS}),
        touched AS (
            SELECT object_id, MAX(batch) AS batch FROM (
                SELECT object_id, batch FROM usage_record WHERE {inside}
                UNION ALL
                SELECT object_id, batch FROM usage_reversal WHERE {inside}
            ) u GROUP BY object_id
        )
        SELECT s.contract_id, s.id FROM touched t
        JOIN invoicing_schedule s ON s.object_id = t.object_id AND s.metric_id = :metric_id
             AND s.start_at = :start AND s.end_at = :end
        {NEWER}
        """),
        edge._asdict(),
    )
    return [(row[0], row[1]) for row in rows.all()]
