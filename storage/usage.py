"""Usage records and their daily rollup, written together.

The law: what is in the rollup is exactly what is in the facts; a fact is written once; batch numbers follow the
order of commits, because the counter's row is locked until the transaction ends.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from sqlalchemy import delete
from sqlmodel import Session, col, select

from storage import at_once, batches
from storage.batches import QUANTITY, Key, Row
from storage.bulk import driver_cursor, write_many
from storage.intake import Intake, MetricRow, expression
from storage.tables import ConnectedObject, MessageInbox
from storage.types import to_micros

LOOKUP_CHUNK = 500
"""Names in one IN list: below SQLite's smallest limit on bound values."""

SAME_RECORD = (
    "x.occurred_at = u.occurred_at AND x.object_id = u.object_id AND x.metric_id = u.metric_id "
    "AND x.discriminator = u.discriminator"
)
"""The condition that a reversal `x` takes the usage record `u` back."""
NOT_REVERSED = f"NOT EXISTS (SELECT 1 FROM usage_reversal AS x WHERE {SAME_RECORD})"

NONE_DESCRIBED: Mapping[int, int] = MappingProxyType({})


class Fact(NamedTuple):
    """One value of one metric of one object at one time; times in microseconds since 1970 UTC, quantity scaled.

    The first four are the key: what makes its repeat recognisable, and the table's primary key.
    """

    occurred_at: int
    object_id: int
    metric_id: int
    discriminator: str
    quantity: int
    received_at: int
    origin: str
    unkeyed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a call of `record` did; a conflict is the place of a fact whose key is taken by the quantity beside it.

    Where that is the same quantity, it has other properties.
    """

    inserted: int
    duplicates: int
    conflicts: list[tuple[int, int]]


def record(
    session: Session,
    facts: Sequence[Row],
    described: Mapping[int, int] = NONE_DESCRIBED,
    *,
    read_by: Intake | None = None,
) -> Recorded:
    """Write the facts that are new, and add exactly those to the rollup, in the session's transaction.

    `described` has the set of properties of each fact that has one, by its place. A fact that is there already with
    the same quantity and properties is a duplicate; with others it is a conflict, and nothing is changed. Raises
    IntegrityError when a day's sum would leave 64 bits, and IntakeChanged when the facts were read by an `Intake` that
    does not stand any more.
    """
    if not facts:
        return Recorded(inserted=0, duplicates=0, conflicts=[])
    connection = session.connection()
    how = connection, facts, described, None if read_by is None else read_by.text
    batch, count = at_once.write(*how) or batches.write(*how)
    if count == len(facts):
        return Recorded(inserted=count, duplicates=0, conflicts=[])
    first: dict[Key, int] = {}
    for place, fact in enumerate(facts):
        first.setdefault(fact[:4], place)
    taken = {} if count == len(first) else batches.taken_before(connection, list(first), batch)
    new = [facts[place] for key, place in first.items() if key not in taken]
    if len(new) != count:
        raise AssertionError(f"batch {batch}: {count} usage records were inserted, {len(new)} are accounted for")
    batches.roll_up(connection, new, batch)
    conflicts = []
    for place, fact in enumerate(facts):
        key = fact[:4]
        stands = taken.get(key) or (facts[first[key]][QUANTITY], described.get(first[key]))
        if stands != (fact[QUANTITY], described.get(place)):
            conflicts.append((place, stands[0]))
    return Recorded(inserted=count, duplicates=len(facts) - count - len(conflicts), conflicts=conflicts)


def object_ids(session: Session, references: Iterable[str]) -> dict[str, int]:
    """The ids of the objects with these references; unknown ones are absent."""
    found: dict[str, int] = {}
    for chunk in _chunks(sorted(set(references))):
        query = select(ConnectedObject.reference, ConnectedObject.id).where(col(ConnectedObject.reference).in_(chunk))
        found.update({reference: identity for reference, identity in session.exec(query) if identity is not None})
    return found


def intake(session: Session) -> Intake:
    """What is taken in at this moment."""
    connection = session.connection()
    with driver_cursor(connection) as cursor:
        return Intake.of(cursor.execute(f"SELECT {expression(connection)}").fetchone()[0])


def metrics(session: Session) -> dict[str, MetricRow]:
    """All metrics by name."""
    return intake(session).metrics


def remember_times(session: Session, times: Sequence[tuple[int, str, int]]) -> dict[tuple[int, str], int]:
    """The time first given to each (object id, sender id), where `times` proposes (object id, sender id, micros).

    What the inbox does not know yet gets the time proposed here, and keeps it.
    """
    if not times:
        return {}
    proposed: dict[tuple[int, str], int] = {}
    for object_id, sender_id, micros in times:
        proposed.setdefault((object_id, sender_id), micros)
    known = _known_times(session, proposed)
    new = [(*key, micros, micros) for key, micros in sorted(proposed.items()) if key not in known]
    if new:
        written = write_many(
            session.connection(),
            "INSERT INTO message_inbox (object_id, sender_id, occurred_at, received_at) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (object_id, sender_id) DO NOTHING",
            new,
        )
        if written < len(new):  # another process was first with some of them, after we had looked
            known = _known_times(session, proposed)
    return {**proposed, **known}


def _known_times(session: Session, keys: Collection[tuple[int, str]]) -> dict[tuple[int, str], int]:
    known: dict[tuple[int, str], int] = {}
    for chunk in _chunks(sorted({sender_id for _, sender_id in keys})):
        query = select(MessageInbox.object_id, MessageInbox.sender_id, MessageInbox.occurred_at).where(
            col(MessageInbox.sender_id).in_(chunk),
            col(MessageInbox.object_id).in_({identity for identity, _ in keys})
            if len(keys) <= LOOKUP_CHUNK
            else col(MessageInbox.object_id).is_not(None),
        )
        for object_id, sender_id, occurred_at in session.exec(query):
            if (object_id, sender_id) in keys:
                known[object_id, sender_id] = to_micros(occurred_at)
    return known


def forget_times(session: Session, *, before: datetime) -> int:
    """Drop what the inbox remembered before that instant; returns how many. A repeat that comes later is new."""
    result = session.connection().execute(delete(MessageInbox).where(col(MessageInbox.received_at) < before))
    return int(result.rowcount)


def rollup_differences(session: Session) -> list[tuple[int, int, int]]:
    """(object id, metric id, UTC day) of every rollup row that is not what its facts add up to; empty is right.

    Also of one that is above the last batch noted for its day: a close would not find it.
    """
    connection = session.connection()
    stands = "CASE WHEN x.batch IS NULL THEN u.{} END"
    facts = {
        (row[0], row[1], int(row[2])): tuple(None if value is None else int(value) for value in row[3:])
        for row in connection.exec_driver_sql(
            "SELECT u.object_id, u.metric_id, u.occurred_at / 86400000000, "
            "max(CASE WHEN x.batch > u.batch THEN x.batch ELSE u.batch END), count(*) - count(x.batch), "
            f"sum({stands.format('quantity')}), max({stands.format('quantity')}), min({stands.format('quantity')}), "
            f"min({stands.format('occurred_at')}), max({stands.format('occurred_at')}) "
            f"FROM usage_record AS u LEFT JOIN usage_reversal AS x ON {SAME_RECORD} GROUP BY 1, 2, 3"
        )
    }
    rollup = {
        (row[0], row[1], row[2]): tuple(row[3:]) if row[4] else (row[3], 0, *[None] * 5)
        for row in connection.exec_driver_sql(
            "SELECT object_id, metric_id, day, batch, record_count, quantity_sum, quantity_max, quantity_min, "
            "first_at, last_at FROM usage_rollup"
        )
    }
    wrong = {key for key in facts.keys() | rollup.keys() if facts.get(key) != rollup.get(key)}
    for end, pick in (("first", "min"), ("last", "max")):
        rows = connection.exec_driver_sql(
            f"SELECT r.object_id, r.metric_id, r.day FROM usage_rollup AS r JOIN usage_record AS u "
            f"ON u.occurred_at = r.{end}_at AND u.object_id = r.object_id AND u.metric_id = r.metric_id "
            f"WHERE {NOT_REVERSED} "
            f"GROUP BY r.object_id, r.metric_id, r.day, r.{end}_quantity HAVING {pick}(u.quantity) <> r.{end}_quantity"
        )
        wrong.update((row[0], row[1], row[2]) for row in rows)
    untold = connection.exec_driver_sql(
        "SELECT r.object_id, r.metric_id, r.day FROM usage_rollup AS r LEFT JOIN usage_day AS d ON d.day = r.day "
        "WHERE d.batch IS NULL OR d.batch < r.batch"
    )
    wrong.update((row[0], row[1], row[2]) for row in untold)
    return sorted(wrong)


def _chunks(values: list[str]) -> Iterable[list[str]]:
    return (values[start : start + LOOKUP_CHUNK] for start in range(0, len(values), LOOKUP_CHUNK))


__all__ = [
    "Fact",
    "Intake",
    "MetricRow",
    "Recorded",
    "Row",
    "forget_times",
    "intake",
    "metrics",
    "object_ids",
    "record",
    "remember_times",
    "rollup_differences",
]
