"""Usage records that were taken back: what stands without them, and what taking one back writes.

The law: a reversal is written once and no usage record is touched; the day's rollup is what still stands, under the
reversal's batch, so that closed periods are found again as they are after late usage.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlmodel import Session, col, insert, select

from storage.batches import next_batch, touch_days
from storage.tables import QUANTITY_LIMIT, UsageRecord, UsageReversal
from storage.types import DAY_MICROS, from_micros
from storage.usage import NOT_REVERSED

Key = tuple[int, int, int, str]
"""Instant in microseconds, object id, metric id, discriminator: the key of a usage record."""


class Reversal(NamedTuple):
    """What takes a usage record back, and what stands in its place; quantities scaled."""

    reason: str
    origin: str
    key: str
    replaced_by: str | None = None
    replacement: int | None = None


BESIDE = """
    metric_id = :metric_id AND start_at <= :at AND end_at >= :at AND (object_id = :object_id OR (
        contract_item_id IS NULL AND contract_id IN (
            SELECT contract_id FROM contract_item WHERE object_id = :object_id AND status <> 'cancelled'
        )
    ))
"""
"""The schedules of an object, and of the pools that it is in, whose period a register's value at an instant bounds."""

BEGINS_ELSEWHERE = """
    SELECT 1 FROM boundary_value b
    WHERE b.object_id = :object_id AND b.metric_id = :metric_id AND b.quality = 'baseline' AND b.quantity <> (
        SELECT r.first_quantity FROM usage_rollup r
        WHERE r.object_id = :object_id AND r.metric_id = :metric_id AND r.record_count > 0 ORDER BY r.day LIMIT 1
    )
"""
"""Whether the first reading of a register is another one than what was taken for it."""
NOTHING_BEFORE = """
    NOT EXISTS (SELECT 1 FROM usage_rollup r WHERE r.object_id = b.object_id AND r.metric_id = b.metric_id
                AND r.record_count > 0 AND r.first_at <= :after)
"""


def standing_in(session: Session, *, start: int, end: int) -> str:
    """The SQL that leaves reversed records out of those (`u`) in `[start, end)` microseconds; nothing when none is."""
    found = session.connection().execute(
        text("SELECT 1 FROM usage_reversal WHERE occurred_at >= :start AND occurred_at < :end LIMIT 1"),
        {"start": start, "end": end},
    )
    return "" if found.first() is None else f" AND {NOT_REVERSED}"


def records_at(session: Session, *, at: int, object_id: int, metric_id: int) -> dict[str, int]:
    """The quantities of an object's records of a metric at one instant, by discriminator; the reversed ones too."""
    query = select(UsageRecord.discriminator, UsageRecord.quantity).where(
        UsageRecord.occurred_at == from_micros(at),
        UsageRecord.object_id == object_id,
        UsageRecord.metric_id == metric_id,
    )
    return dict(session.exec(query.order_by(col(UsageRecord.discriminator))).all())


def property_set_of(session: Session, key: Key) -> int | None:
    """The properties that a usage record carries: what stands in its place has them too."""
    at, object_id, metric_id, discriminator = key
    return session.exec(
        select(UsageRecord.property_set_id).where(
            UsageRecord.occurred_at == from_micros(at),
            UsageRecord.object_id == object_id,
            UsageRecord.metric_id == metric_id,
            UsageRecord.discriminator == discriminator,
        )
    ).one()


def reversals_at(session: Session, *, at: int, object_id: int, metric_id: int) -> dict[str, Reversal]:
    """What was taken back of an object's records of a metric at one instant, by discriminator."""
    query = select(UsageReversal).where(
        UsageReversal.occurred_at == from_micros(at),
        UsageReversal.object_id == object_id,
        UsageReversal.metric_id == metric_id,
    )
    return {
        row.discriminator: Reversal(row.reason, row.origin, row.key, row.replaced_by, row.replacement)
        for row in session.exec(query)
    }


def reverse(session: Session, key: Key, reversal: Reversal, now: datetime) -> None:
    """Take a usage record back that stands; its day's rollup becomes what is left."""
    at, object_id, metric_id, discriminator = key
    batch, _ = next_batch(session.connection())
    row = {
        "occurred_at": from_micros(at),
        "object_id": object_id,
        "metric_id": metric_id,
        "discriminator": discriminator,
        "batch": batch,
        "recorded_at": now,
        **reversal._asdict(),
        "key": reversal.key,
    }
    session.exec(insert(UsageReversal), params=[row])
    _roll_up_again(session, day=at // DAY_MICROS, object_id=object_id, metric_id=metric_id, batch=batch)


def _roll_up_again(session: Session, *, day: int, object_id: int, metric_id: int, batch: int) -> None:
    connection = session.connection()
    place = {"day": day, "object_id": object_id, "metric_id": metric_id}
    rows = connection.execute(
        text(
            "SELECT u.occurred_at, u.quantity FROM usage_record u WHERE u.occurred_at >= :start "
            "AND u.occurred_at < :end AND u.object_id = :object_id AND u.metric_id = :metric_id "
            f"AND {NOT_REVERSED}"
        ),
        {**place, "start": day * DAY_MICROS, "end": (day + 1) * DAY_MICROS},
    )
    left = sorted((at, quantity) for at, quantity in rows)
    quantities = [quantity for _, quantity in left]
    # Where nothing is left: values that whatever comes for this day replaces, as the ingest's upsert compares them.
    first_at, first = left[0] if left else ((day + 1) * DAY_MICROS, QUANTITY_LIMIT)
    last_at, last = left[-1] if left else (day * DAY_MICROS - 1, -QUANTITY_LIMIT)
    connection.execute(
        text(
            "UPDATE usage_rollup SET record_count = :count, quantity_sum = :total, quantity_max = :top, "
            "quantity_min = :low, first_at = :first_at, first_quantity = :first, last_at = :last_at, "
            "last_quantity = :last, batch = :batch "
            "WHERE day = :day AND object_id = :object_id AND metric_id = :metric_id"
        ),
        {
            **place,
            "count": len(left),
            "total": sum(quantities),
            "top": max(quantities, default=-QUANTITY_LIMIT),
            "low": min(quantities, default=QUANTITY_LIMIT),
            "first_at": first_at,
            "first": first,
            "last_at": last_at,
            "last": last,
            "batch": batch,
        },
    )
    touch_days(connection, {day}, batch)


def forget_boundaries(
    session: Session, *, object_id: int, metric_id: int, after: int, quantity: int | None = None
) -> set[int]:
    """Drop the register values at boundaries after an instant, and have the periods on both sides valued again.

    All of them where another reading is the first by now, since they are counted from it, and the baseline too where
    nothing was read up to the instant. With a `quantity` only those that stand at it. Gives the object's contracts,
    whose revisions are to be raised: a close may be about to keep values that it read before.
    """
    connection = session.connection()
    values = {"object_id": object_id, "metric_id": metric_id, "after": after, "quantity": quantity}
    if quantity is None and connection.execute(text(BEGINS_ELSEWHERE), values).first() is not None:
        values["after"] = -1
    baseline = "b.quality = 'baseline'"
    which = f"(b.at > :after OR {baseline}) AND b.quantity = :quantity"
    if quantity is None:
        which = f"(b.at > :after OR {baseline} AND {NOTHING_BEFORE})"
    ends = connection.execute(
        text(
            f"SELECT b.at FROM boundary_value b WHERE b.object_id = :object_id AND b.metric_id = :metric_id AND {which}"
        ),
        values,
    ).scalars()
    for at in list(ends):
        place = {"object_id": object_id, "metric_id": metric_id, "at": at}
        connection.execute(
            text("DELETE FROM boundary_value WHERE object_id = :object_id AND metric_id = :metric_id AND at = :at"),
            place,
        )
        _revalue_beside(session, place)
    return contracts_of(session, object_id)


def replace_boundary(
    session: Session, *, object_id: int, metric_id: int, at: int, quantity: int, quality: str
) -> set[int]:
    """Give a register another value at a boundary, and have the periods on both sides valued again.

    Gives the object's contracts, whose revisions are to be raised.
    """
    place = {"object_id": object_id, "metric_id": metric_id, "at": at}
    session.connection().execute(
        text(
            "UPDATE boundary_value SET quantity = :quantity, quality = :quality "
            "WHERE object_id = :object_id AND metric_id = :metric_id AND at = :at"
        ),
        {**place, "quantity": quantity, "quality": quality},
    )
    _revalue_beside(session, place)
    return contracts_of(session, object_id)


def _revalue_beside(session: Session, place: Mapping[str, int]) -> None:
    session.connection().execute(
        text(f"UPDATE invoicing_schedule SET revalue = 1 WHERE {BESIDE} AND status IN ('invoiced', 'settled')"),
        place,
    )


def contracts_of(session: Session, object_id: int) -> set[int]:
    """The contracts that an object is or was in."""
    found = session.connection().execute(
        text("SELECT DISTINCT contract_id FROM contract_item WHERE object_id = :object_id"), {"object_id": object_id}
    )
    return set(found.scalars())


__all__ = [
    "Key",
    "Reversal",
    "contracts_of",
    "forget_boundaries",
    "property_set_of",
    "records_at",
    "replace_boundary",
    "reversals_at",
    "reverse",
    "standing_in",
]


def wrongly_replaced(session: Session) -> Sequence[tuple[str, str, datetime]]:
    """Reversals that name a record in the place of the other one which is not there, or is of another quantity."""
    rows = session.connection().execute(
        text("""
        SELECT o.reference, m.name, r.occurred_at FROM usage_reversal r
        JOIN connected_object o ON o.id = r.object_id
        JOIN metric m ON m.id = r.metric_id
        LEFT JOIN usage_record u ON u.occurred_at = r.occurred_at AND u.object_id = r.object_id
            AND u.metric_id = r.metric_id AND u.discriminator = r.replaced_by
        WHERE r.replaced_by IS NOT NULL AND (u.quantity IS NULL OR u.quantity <> r.replacement)
        ORDER BY o.reference, r.occurred_at
        """)
    )
    return [(reference, metric, from_micros(at)) for reference, metric, at in rows]
