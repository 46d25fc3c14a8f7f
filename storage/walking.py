"""The readings behind a register that is walked over, and which registers have to be: SQL over sets of objects.

The law: a register that only rises is never walked over; of one that does not, days are read from the rollup, and
single readings only of the days where they matter.
"""

from collections.abc import Iterable
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlmodel import Session, col, insert, select

from storage.reversals import standing_in
from storage.sets import in_chunks, list_value, listed
from storage.tables import ConnectedObject, ReadingDecision
from storage.types import to_micros

SECOND = 1_000_000
Register = tuple[int, int]
"""Object id, metric id."""


class DayRow(NamedTuple):
    """A rollup row of an object; instants in microseconds, quantities scaled."""

    object_id: int
    day: int
    readings: int
    first_at: int
    first: int
    low: int
    top: int
    last_at: int
    last: int


class Rise(NamedTuple):
    """A reading of an object, and the one before it, if that was asked for and there is one."""

    object_id: int
    at: int
    quantity: int
    before: int | None


def irregular(
    session: Session, metric_id: int, *, first_day: int, last_day: int, object_ids: Iterable[int] | None
) -> set[int]:
    """Those objects whose readings on some UTC days, the last one included, did not only rise from day to day.

    With None for the objects, of all.
    """
    connection = session.connection()
    which = "" if object_ids is None else f" AND r.object_id {listed(connection, 'ids')}"
    values = {"metric_id": metric_id, "first": first_day, "last": last_day}
    if object_ids is not None:
        values["ids"] = list_value(connection, object_ids)
    rows = connection.execute(
        text(f"""
        SELECT DISTINCT t.object_id FROM (
            SELECT r.object_id, r.first_quantity, r.quantity_min, r.quantity_max, r.last_quantity,
                   LAG(r.quantity_max) OVER (PARTITION BY r.object_id ORDER BY r.day) AS before
            FROM usage_rollup r
            WHERE r.metric_id = :metric_id AND r.day >= :first AND r.day <= :last AND r.record_count > 0{which}
        ) t
        WHERE t.quantity_min < t.first_quantity OR t.quantity_max > t.last_quantity OR t.first_quantity < t.before
        """),
        values,
    )
    return {row[0] for row in rows}


def rises(
    session: Session,
    metric_id: int,
    *,
    start: int,
    end: int,
    maximum_rate: int,
    object_ids: Iterable[int] | None = None,
) -> list[Rise]:
    """The readings in `[start, end)` that rose faster than a rate (scaled, an hour), or that are the first there.

    In whole seconds and rounded down, so that none is missed: who asks looks closer. With None for the objects, of all.
    """
    connection = session.connection()
    which = "" if object_ids is None else f"AND u.object_id {listed(connection, 'ids')}"
    values = {} if object_ids is None else {"ids": list_value(connection, object_ids)}
    allowed = "(:whole * t.seconds + :part * t.seconds / 3600)"
    rows = connection.execute(
        text(f"""
        SELECT t.object_id, t.occurred_at, t.quantity, t.before FROM (
            SELECT u.object_id, u.occurred_at, u.quantity,
                   LAG(u.quantity) OVER w AS before, (u.occurred_at - LAG(u.occurred_at) OVER w) / {SECOND} AS seconds
            FROM usage_record u
            WHERE u.occurred_at >= :start AND u.occurred_at < :end AND u.metric_id = :metric_id
                  {which}{standing_in(session, start=start, end=end)}
            WINDOW w AS (PARTITION BY u.object_id ORDER BY u.occurred_at, u.quantity)
        ) t
        WHERE t.before IS NULL OR t.quantity - t.before > {allowed}
        """),
        {
            "metric_id": metric_id,
            "start": start,
            "end": end,
            "whole": maximum_rate // 3600,
            "part": maximum_rate % 3600,
            **values,
        },
    )
    return [Rise(*row) for row in rows]


def first_since(session: Session, metric_id: int, *, day: int, object_ids: Iterable[int]) -> list[Rise]:
    """The first reading of each object from a UTC day on; of two at one instant the lower one."""
    connection = session.connection()
    rows = connection.execute(
        text(f"""
        SELECT d.object_id, r.first_at, r.first_quantity FROM (
            SELECT r.object_id, MIN(r.day) AS day FROM usage_rollup r
            WHERE r.metric_id = :metric_id AND r.day >= :day AND r.record_count > 0
                  AND r.object_id {listed(connection, "ids")}
            GROUP BY r.object_id
        ) d
        JOIN usage_rollup r ON r.object_id = d.object_id AND r.metric_id = :metric_id AND r.day = d.day
        """),
        {"metric_id": metric_id, "day": day, "ids": list_value(connection, object_ids)},
    )
    return [Rise(row[0], row[1], row[2], None) for row in rows]


def days_of(
    session: Session, metric_id: int, object_ids: Iterable[int], *, first_day: int, last_day: int
) -> list[DayRow]:
    """The days of some objects from the rollup, the last one included."""
    connection = session.connection()
    rows = connection.execute(
        text(
            "SELECT r.object_id, r.day, r.record_count, r.first_at, r.first_quantity, r.quantity_min, r.quantity_max, "
            "r.last_at, r.last_quantity FROM usage_rollup r WHERE r.metric_id = :metric_id AND r.day >= :first "
            f"AND r.day <= :last AND r.record_count > 0 AND r.object_id {listed(connection, 'ids')}"
        ),
        {"metric_id": metric_id, "first": first_day, "last": last_day, "ids": list_value(connection, object_ids)},
    )
    return [DayRow(*row) for row in rows]


def held_registers(session: Session, metric_id: int) -> set[int]:
    """The objects of which a value at a period boundary was stored while readings were held."""
    rows = session.connection().execute(
        text("SELECT DISTINCT object_id FROM boundary_value WHERE metric_id = :metric_id AND quality = 'held'"),
        {"metric_id": metric_id},
    )
    return {row[0] for row in rows}


def held_ends(
    session: Session, contract_ids: Iterable[int], month: tuple[date, date]
) -> dict[tuple[int, int], set[int]]:
    """By metric and end of period, the objects whose readings were held there, of schedules due in a month."""
    connection = session.connection()
    rows = connection.execute(
        text(f"""
        SELECT b.metric_id, b.at, b.object_id FROM boundary_value b
        JOIN invoicing_schedule s ON s.object_id = b.object_id AND s.metric_id = b.metric_id AND s.end_at = b.at
        WHERE b.quality = 'held' AND s.status <> 'cancelled' AND s.due_on >= :first AND s.due_on < :last
              AND s.contract_id {listed(connection, "ids")}
        """),
        {"first": month[0], "last": month[1], "ids": list_value(connection, contract_ids)},
    )
    found: dict[tuple[int, int], set[int]] = {}
    for metric_id, at, object_id in rows:
        found.setdefault((metric_id, at), set()).add(object_id)
    return found


def open_since(session: Session, metric_id: int) -> int | None:
    """The beginning of the first period of a register that is not charged, in microseconds."""
    found: int | None = (
        session.connection()
        .execute(
            text(
                "SELECT MIN(start_at) FROM invoicing_schedule WHERE metric_id = :metric_id "
                "AND status IN ('planned', 'valued')"
            ),
            {"metric_id": metric_id},
        )
        .scalar()
    )
    return found


def references(session: Session, object_ids: Iterable[int]) -> dict[int, str]:
    """What objects are called."""
    rows = in_chunks(session, object_ids, ConnectedObject, ConnectedObject.id)
    return {row.id: row.reference for row in rows if row.id is not None}


def readings_of(
    session: Session, object_id: int, metric_id: int, *, first: int, last: int
) -> list[tuple[int, str, int]]:
    """Instant, discriminator and quantity of a register's readings in `[first, last]`, those taken back left out."""
    rows = session.connection().execute(
        text(
            "SELECT u.occurred_at, u.discriminator, u.quantity FROM usage_record u WHERE u.occurred_at >= :first "
            "AND u.occurred_at <= :last AND u.object_id = :object_id AND u.metric_id = :metric_id "
            f"{standing_in(session, start=first, end=last + 1)} ORDER BY u.occurred_at, u.quantity"
        ),
        {"first": first, "last": last, "object_id": object_id, "metric_id": metric_id},
    )
    return [(row[0], row[1], row[2]) for row in rows]


def accepted(session: Session) -> dict[Register, set[int]]:
    """By object and metric, the instants of the readings that a person accepted."""
    found: dict[Register, set[int]] = {}
    for row in session.exec(select(ReadingDecision).where(ReadingDecision.decision == "accept")):
        found.setdefault((row.object_id, row.metric_id), set()).add(to_micros(row.at))
    return found


def decisions(session: Session, object_id: int, metric_id: int) -> list[ReadingDecision]:
    """What was decided of a register, in order."""
    query = select(ReadingDecision).where(
        ReadingDecision.object_id == object_id, ReadingDecision.metric_id == metric_id
    )
    return list(session.exec(query.order_by(col(ReadingDecision.id))).all())


def decide(session: Session, values: dict[str, Any]) -> None:
    """Write a decision."""
    session.exec(insert(ReadingDecision), params=[values])
