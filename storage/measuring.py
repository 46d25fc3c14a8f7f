"""What objects used of a metric over a window, by sets: whole days from the rollup, their ends from the facts."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from sqlalchemy import text
from sqlmodel import Session, select

from storage.reversals import standing_in
from storage.sets import HALF, halves, list_value, listed, within, write_columns
from storage.tables import (
    IngestCounter,
)
from storage.types import DAY_MICROS

ROWS_AT_ONCE = 5000
RISES = (
    "ON CONFLICT (object_id, metric_id, at) DO UPDATE SET quantity = excluded.quantity, quality = excluded.quality "
    "WHERE excluded.quantity > boundary_value.quantity"
)


class Measured(NamedTuple):
    """What one object used of a metric over a window; scaled integers, instants in microseconds.

    The first and last record are 0 where they were not asked for.
    """

    records: int
    total: int
    top: int
    first_at: int = 0
    first: int = 0
    last_at: int = 0
    last: int = 0


def merged(parts: Iterable[Measured | None]) -> Measured | None:
    """Several windows as one; None when none of them has a record."""
    present = [part for part in parts if part is not None]
    if len(present) < 2:  # noqa: PLR2004 - one window is itself
        return present[0] if present else None
    first = min(present, key=lambda part: part.first_at)
    last = max(present, key=lambda part: part.last_at)
    return Measured(
        records=sum(part.records for part in present),
        total=sum(part.total for part in present),
        top=max(part.top for part in present),
        first_at=first.first_at,
        first=first.first,
        last_at=last.last_at,
        last=last.last,
    )


class Span(NamedTuple):
    """What one statement measures for many objects: a metric over `[start, end)`, with or without its end records."""

    metric_id: int
    start: int
    end: int
    ends: bool


def usage_mark(session: Session) -> int:
    """The last ingest batch in this snapshot."""
    return session.exec(select(IngestCounter.last_batch)).first() or 0


def whole_days(
    session: Session, span: Span, object_ids: AbstractSet[int] | range, *, adds_up: bool = False
) -> dict[int, Measured]:
    """By object, the rollup over the whole UTC days inside a span; where it `adds_up`, without the greatest.

    Groups of a fleet are many: what is not asked for is not carried in each.
    """
    connection = session.connection()
    inside, ids = within(connection, "ids", object_ids)
    top = "0" if adds_up else "MAX(r.quantity_max)"
    ends = ", MIN(r.day) AS first_day, MAX(r.day) AS last_day" if span.ends else ""
    totals = f"""
        SELECT r.object_id, SUM(r.record_count) AS n, {halves(connection, "r.quantity_sum")}, {top} AS top{ends}
        FROM usage_rollup r
        WHERE r.metric_id = :metric_id AND r.day >= :first AND r.day < :last AND r.record_count > 0
              AND r.object_id {inside}
        GROUP BY r.object_id
    """
    values = {
        "metric_id": span.metric_id,
        "first": -(-span.start // DAY_MICROS),
        "last": span.end // DAY_MICROS,
        **ids,
    }
    if not span.ends:
        return {
            row[0]: Measured(int(row[1]), int(row[2]) * HALF + int(row[3]), row[4])
            # In portions: of a fleet, rows and numbers of the driver would fill more memory than what is kept of them.
            for rows in connection.execute(text(totals), values).partitions(ROWS_AT_ONCE)
            for row in rows
            if row[0] in object_ids
        }
    rows = connection.execute(
        text(f"""
        SELECT t.object_id, t.n, t.high, t.low, t.top, f.first_at, f.first_quantity, l.last_at, l.last_quantity
        FROM ({totals}) t
        JOIN usage_rollup f ON f.object_id = t.object_id AND f.metric_id = :metric_id AND f.day = t.first_day
        JOIN usage_rollup l ON l.object_id = t.object_id AND l.metric_id = :metric_id AND l.day = t.last_day
        """),
        values,
    )
    return {
        row[0]: Measured(int(row[1]), int(row[2]) * HALF + int(row[3]), *row[4:])
        for row in rows
        if row[0] in object_ids
    }


def top_before(session: Session, span: Span, object_ids: Iterable[int]) -> dict[int, int]:
    """By object, the highest reading on the whole UTC days before a span: what its register stood at."""
    connection = session.connection()
    rows = connection.execute(
        text(f"""
        SELECT r.object_id, MAX(r.quantity_max) FROM usage_rollup r
        WHERE r.metric_id = :metric_id AND r.day < :day AND r.record_count > 0
              AND r.object_id {listed(connection, "ids")}
        GROUP BY r.object_id
        """),
        {
            "metric_id": span.metric_id,
            "day": span.start // DAY_MICROS,
            "ids": list_value(connection, object_ids),
        },
    )
    return {row[0]: row[1] for row in rows}


def window(session: Session, span: Span) -> dict[int, Measured]:
    """By object, all usage in a span read from the records: the parts of days that no rollup has."""
    bounds = {"metric_id": span.metric_id, "start": span.start, "end": span.end}
    connection = session.connection()
    standing = standing_in(session, start=span.start, end=span.end)
    inside = f"u.occurred_at >= :start AND u.occurred_at < :end AND u.metric_id = :metric_id{standing}"
    rows = connection.execute(
        text(f"""
        SELECT object_id, COUNT(*), {halves(connection, "quantity")}, MAX(quantity),
               MIN(occurred_at), MAX(occurred_at)
        FROM usage_record u WHERE {inside} GROUP BY object_id
        """),
        bounds,
    ).all()
    if not span.ends:
        return {row[0]: Measured(row[1], int(row[2]) * HALF + int(row[3]), row[4]) for row in rows}
    times = {(row[0], at) for row in rows for at in row[5:]}
    found: dict[tuple[int, int], list[int]] = {}
    for object_id, at, quantity in connection.execute(
        text(f"SELECT object_id, occurred_at, quantity FROM usage_record u WHERE {inside}"), bounds
    ):
        if (object_id, at) in times:
            found.setdefault((object_id, at), []).append(quantity)
    return {
        object_id: Measured(
            n,
            int(high) * HALF + int(low),
            top,
            first_at,
            min(found[object_id, first_at]),
            last_at,
            max(found[object_id, last_at]),
        )
        for object_id, n, high, low, top, first_at, last_at in rows
    }


class Boundary(NamedTuple):
    """What a register stood at, at a period boundary, and how that is known."""

    quantity: int
    quality: str


def boundaries(session: Session, metric_id: int, at: int, object_ids: Iterable[int]) -> dict[int, Boundary]:
    """By object, the stored register values at one instant (microseconds)."""
    connection = session.connection()
    rows = connection.execute(
        text(
            "SELECT object_id, quantity, quality FROM boundary_value WHERE metric_id = :metric_id AND at = :at "
            f"AND object_id {listed(connection, 'ids')}"
        ),
        {"metric_id": metric_id, "at": at, "ids": list_value(connection, object_ids)},
    )
    return {row[0]: Boundary(row[1], row[2]) for row in rows}


def store_boundaries(session: Session, values: Sequence[tuple[int, int, int, int, str]]) -> None:
    """Keep register values (object, metric, microseconds, quantity, quality); one that is kept already only rises."""
    write_columns(
        session.connection(),
        sqlite="INSERT INTO boundary_value (object_id, metric_id, at, quantity, quality) VALUES (?, ?, ?, ?, ?) "
        f"{RISES}",
        postgresql="INSERT INTO boundary_value (object_id, metric_id, at, quantity, quality) "
        f"SELECT * FROM unnest(%s::int[], %s::int[], %s::bigint[], %s::bigint[], %s::text[]) {RISES}",
        rows=values,
    )
