"""Where registers begin again because hardware was exchanged, and the readings around such an instant.

The law: readings stay as they were read; what a register counted is made of them and of its exchanges.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlmodel import Session, col, insert, select, update

from storage import markers
from storage.markers import Beginning
from storage.reversals import standing_in
from storage.sets import list_value, listed
from storage.tables import RegisterEpoch
from storage.types import DAY_MICROS, from_micros, to_micros

Register = tuple[int, int]
"""Object id, metric id."""


class Epoch(NamedTuple):
    """From an instant (microseconds) on, another register: what the old one ended at and the new one began at."""

    starts_at: int
    final: int
    initial: int | None
    """None while nothing was read of the new one, when that was not said."""


def epochs(session: Session, object_id: int | None = None) -> dict[Register, list[Epoch]]:
    """The exchanges of registers in order of time, of all objects or of one.

    A beginning that was not said is the first reading.
    """
    query = select(RegisterEpoch).order_by(col(RegisterEpoch.starts_at))
    if object_id is not None:
        query = query.where(RegisterEpoch.object_id == object_id)
    rows = [
        ((row.object_id, row.metric_id), Epoch(to_micros(row.starts_at), row.final_quantity, row.initial_quantity))
        for row in session.exec(query)
    ]
    begun = _first_readings(session) if any(epoch.initial is None for _, epoch in rows) else {}
    found: dict[Register, list[Epoch]] = {}
    for register, epoch in rows:
        initial = begun.get((*register, epoch.starts_at)) if epoch.initial is None else epoch.initial
        found.setdefault(register, []).append(epoch._replace(initial=initial))
    return found


def beginnings(session: Session) -> dict[Register, list[Beginning]]:
    """Where registers begin again, as was told or as messages say, in order of time."""
    found = markers.beginnings(session)
    for register, told in epochs(session).items():
        each = [Beginning(*epoch) for epoch in told]
        found[register] = sorted([*found.get(register, []), *each], key=lambda it: it.starts_at)
    return found


def _first_readings(session: Session) -> dict[tuple[int, int, int], int]:
    """By object, metric and instant of the exchange, the first reading since, where the beginning was not said.

    The first day comes from the rollup; where it is the day of the exchange and has earlier readings, from the facts,
    once for each metric and day.
    """
    rows = session.connection().execute(
        text(f"""
        SELECT d.object_id, d.metric_id, d.starts_at, d.day, r.first_at, r.first_quantity
        FROM (
            SELECT e.object_id, e.metric_id, e.starts_at, MIN(r.day) AS day
            FROM register_epoch e
            JOIN usage_rollup r ON r.object_id = e.object_id AND r.metric_id = e.metric_id
                 AND r.day >= e.starts_at / {DAY_MICROS} AND r.last_at >= e.starts_at AND r.record_count > 0
            WHERE e.initial_quantity IS NULL
            GROUP BY e.object_id, e.metric_id, e.starts_at
        ) d
        JOIN usage_rollup r ON r.object_id = d.object_id AND r.metric_id = d.metric_id AND r.day = d.day
        """)
    )
    found: dict[tuple[int, int, int], int] = {}
    mixed: dict[tuple[int, int], dict[int, int]] = {}
    for object_id, metric_id, starts_at, day, first_at, quantity in rows:
        if first_at >= starts_at:
            found[object_id, metric_id, starts_at] = quantity
        else:
            mixed.setdefault((metric_id, day), {})[object_id] = starts_at
    for (metric_id, day), starts in mixed.items():
        read: dict[int, list[tuple[int, int]]] = {}
        for object_id, at, quantity in of_day(session, metric_id, day, starts):
            if at >= starts[object_id]:
                read.setdefault(object_id, []).append((at, quantity))
        found.update({(object_id, metric_id, starts[object_id]): min(each)[1] for object_id, each in read.items()})
    return found


def first_reading(
    session: Session, object_id: int, metric_id: int, *, start: int, end: int | None = None
) -> int | None:
    """The first reading in `[start, end)`; of two at one instant the lower one."""
    days = session.connection().execute(
        text(
            "SELECT r.day, r.first_at, r.first_quantity FROM usage_rollup r WHERE r.object_id = :object_id "
            "AND r.metric_id = :metric_id AND r.day >= :day AND r.last_at >= :start AND r.record_count > 0 "
            "ORDER BY r.day LIMIT 1"
        ),
        {"object_id": object_id, "metric_id": metric_id, "day": start // DAY_MICROS, "start": start},
    )
    row = days.first()
    if row is None:
        return None
    at, quantity = row.first_at, row.first_quantity
    if at < start:
        inside = [(at, quantity) for _, at, quantity in of_day(session, metric_id, row.day, [object_id]) if at >= start]
        at, quantity = min(inside)
    return None if end is not None and at >= end else int(quantity)


def top_reading(session: Session, object_id: int, metric_id: int, *, start: int, end: int) -> int | None:
    """The highest reading in `[start, end)`."""
    first_day, last_day = start // DAY_MICROS, end // DAY_MICROS
    whole = session.connection().execute(
        text(
            "SELECT MAX(r.quantity_max) FROM usage_rollup r WHERE r.object_id = :object_id "
            "AND r.metric_id = :metric_id AND r.day > :first AND r.day < :last AND r.record_count > 0"
        ),
        {"object_id": object_id, "metric_id": metric_id, "first": first_day, "last": last_day},
    )
    found = [top for top in (whole.scalar(),) if top is not None]
    for day in {first_day, last_day}:
        found += [quantity for _, at, quantity in of_day(session, metric_id, day, [object_id]) if start <= at < end]
    return max(found, default=None)


def of_day(session: Session, metric_id: int, day: int, object_ids: Collection[int]) -> list[tuple[int, int, int]]:
    """Object, instant and quantity of each reading of some objects on a UTC day."""
    start, end = day * DAY_MICROS, (day + 1) * DAY_MICROS
    connection = session.connection()
    rows = connection.execute(
        text(
            "SELECT u.object_id, u.occurred_at, u.quantity FROM usage_record u WHERE u.occurred_at >= :start "
            f"AND u.occurred_at < :end AND u.metric_id = :metric_id AND u.object_id {listed(connection, 'ids')}"
            f"{standing_in(session, start=start, end=end)}"
        ),
        {"start": start, "end": end, "metric_id": metric_id, "ids": list_value(connection, object_ids)},
    )
    return [(row[0], row[1], row[2]) for row in rows]


def add(session: Session, *, object_id: int, metric_id: int, epoch: Epoch) -> None:
    """Write an exchange."""
    values: Mapping[str, Any] = {
        "object_id": object_id,
        "metric_id": metric_id,
        "starts_at": from_micros(epoch.starts_at),
        "final_quantity": epoch.final,
        "initial_quantity": epoch.initial,
    }
    session.exec(insert(RegisterEpoch), params=[values])


def correct(session: Session, *, object_id: int, metric_id: int, epoch: Epoch) -> None:
    """Give an exchange other readings."""
    session.exec(
        update(RegisterEpoch)
        .where(
            col(RegisterEpoch.object_id) == object_id,
            col(RegisterEpoch.metric_id) == metric_id,
            col(RegisterEpoch.starts_at) == from_micros(epoch.starts_at),
        )
        .values(final_quantity=epoch.final, initial_quantity=epoch.initial)
    )


def stored(session: Session, *, object_id: int, metric_id: int, at: datetime) -> Epoch | None:
    """The exchange at one instant as it was told."""
    row = session.get(RegisterEpoch, (object_id, metric_id, at))
    return None if row is None else Epoch(to_micros(row.starts_at), row.final_quantity, row.initial_quantity)
