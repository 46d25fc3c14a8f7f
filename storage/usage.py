"""Usage records and their daily rollup, written together.

The law: what is in the rollup is exactly what is in the facts; a fact is written once; batch numbers follow the
order of commits, because the counter's row is locked until the transaction ends.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from sqlalchemy import Connection, delete
from sqlmodel import Session, col, select

from storage.bulk import is_sqlite, write_columns, write_many
from storage.tables import ConnectedObject, MessageInbox, Metric
from storage.types import DAY_MICROS, to_micros

LOOKUP_CHUNK = 500
"""Names in one IN list: below SQLite's smallest limit on bound values."""

SAME_RECORD = (
    "x.occurred_at = u.occurred_at AND x.object_id = u.object_id AND x.metric_id = u.metric_id "
    "AND x.discriminator = u.discriminator"
)
"""The condition that a reversal `x` takes the usage record `u` back."""
NOT_REVERSED = f"NOT EXISTS (SELECT 1 FROM usage_reversal AS x WHERE {SAME_RECORD})"

Key = tuple[int, int, int, str]
NONE_DESCRIBED: Mapping[int, int] = MappingProxyType({})
FACT_TYPES = ("bigint", "int", "int", "text", "bigint", "bigint", "text", "int")
_Day = tuple[int, int, int, int, int, int, int, int]
"""Count, sum, greatest, least, then instant and quantity of the first and of the last."""


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

    @property
    def key(self) -> Key:
        return self[:4]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a call of `record` did; a conflict is a fact whose key is taken by the quantity beside it.

    Where that is the same quantity, it has other properties.
    """

    inserted: int
    duplicates: int
    conflicts: list[tuple[Fact, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRow:
    """What the door needs to know of a metric."""

    id: int
    kind: str
    decimals: int
    excess_digits: str


def record(session: Session, facts: Sequence[Fact], described: Mapping[int, int] = NONE_DESCRIBED) -> Recorded:
    """Write the facts that are new, and add exactly those to the rollup, in the session's transaction.

    `described` has the set of properties of each fact that has one, by its place. A fact that is there already with
    the same quantity and properties is a duplicate; with others it is a conflict, and nothing is changed. Raises
    IntegrityError when a day's sum would leave 64 bits.
    """
    if not facts:
        return Recorded(inserted=0, duplicates=0, conflicts=[])
    connection = session.connection()
    batch = next_batch(connection)
    count = _insert(connection, facts, batch, described)
    if count == len(facts):
        _roll_up(connection, facts, batch)
        return Recorded(inserted=count, duplicates=0, conflicts=[])
    first: dict[Key, int] = {}
    for place, fact in enumerate(facts):
        first.setdefault(fact.key, place)
    taken = {} if count == len(first) else _taken_before(connection, list(first), batch)
    new = [facts[place] for key, place in first.items() if key not in taken]
    if len(new) != count:
        raise AssertionError(f"batch {batch}: {count} usage records were inserted, {len(new)} are accounted for")
    _roll_up(connection, new, batch)
    conflicts = []
    for place, fact in enumerate(facts):
        key = fact.key
        stands = taken.get(key) or (facts[first[key]].quantity, described.get(first[key]))
        if stands != (fact.quantity, described.get(place)):
            conflicts.append((fact, stands[0]))
    return Recorded(inserted=count, duplicates=len(facts) - count - len(conflicts), conflicts=conflicts)


def object_ids(session: Session, references: Iterable[str]) -> dict[str, int]:
    """The ids of the objects with these references; unknown ones are absent."""
    found: dict[str, int] = {}
    for chunk in _chunks(sorted(set(references))):
        query = select(ConnectedObject.reference, ConnectedObject.id).where(col(ConnectedObject.reference).in_(chunk))
        found.update({reference: identity for reference, identity in session.exec(query) if identity is not None})
    return found


def metrics_named(session: Session, names: Iterable[str]) -> dict[str, MetricRow]:
    """The metrics with these names; unknown ones are absent."""
    found: dict[str, MetricRow] = {}
    for chunk in _chunks(sorted(set(names))):
        query = select(Metric.__table__).where(col(Metric.name).in_(chunk))  # type: ignore[attr-defined] # SQLModel hides it
        for row in session.connection().execute(query):
            found[row.name] = MetricRow(
                id=row.id, kind=row.kind, decimals=row.decimals, excess_digits=row.excess_digits
            )
    return found


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
    """(object id, metric id, UTC day) of every rollup row that is not what its facts add up to; empty is right."""
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
    return sorted(wrong)


def next_batch(connection: Connection) -> int:
    """The number of this transaction among those that write usage; its row stays locked until the commit."""
    row = connection.exec_driver_sql(
        "INSERT INTO ingest_counter (id, last_batch) VALUES (1, 1) "
        "ON CONFLICT (id) DO UPDATE SET last_batch = ingest_counter.last_batch + 1 RETURNING last_batch"
    ).one()
    return int(row[0])


def _insert(connection: Connection, facts: Sequence[Fact], batch: int, described: Mapping[int, int]) -> int:
    """Write the facts whose key is new, the first of a key in this batch; returns how many they were."""
    into = "INSERT INTO usage_record (occurred_at, object_id, metric_id, discriminator, quantity, received_at, origin, "
    key = "ON CONFLICT (occurred_at, object_id, metric_id, discriminator) DO NOTHING"
    if described:
        rows = [(*fact, described.get(place)) for place, fact in enumerate(facts)]
        if is_sqlite(connection):
            values = f"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, {batch:d})"
            return write_many(connection, f"{into} unkeyed, property_set_id, batch) {values} {key}", rows)
        types = (*FACT_TYPES, "int")
        select_rows = f"SELECT f.*, {batch:d} FROM {{rows}} AS f"
        return write_columns(connection, f"{into} unkeyed, property_set_id, batch) {select_rows} {key}", types, rows)
    if is_sqlite(connection):
        # A fact is a row as it stands: the batch, equal for all, is in the text.
        return write_many(connection, f"{into} unkeyed, batch) VALUES (?, ?, ?, ?, ?, ?, ?, ?, {batch:d}) {key}", facts)
    return write_columns(
        connection,
        f"{into} unkeyed, batch) SELECT f.*, {batch:d} FROM {{rows}} AS f {key}",
        FACT_TYPES,
        facts,
    )


def _taken_before(connection: Connection, keys: Sequence[Key], batch: int) -> dict[Key, tuple[int, int | None]]:
    """The quantities and sets of properties that stood under these keys before this batch."""
    if is_sqlite(connection):
        # CROSS JOIN is SQLite's way to say: walk the list, seek in the table.
        rows = connection.exec_driver_sql(
            "SELECT u.occurred_at, u.object_id, u.metric_id, u.discriminator, u.quantity, u.property_set_id "
            "FROM json_each(?) AS k CROSS JOIN usage_record AS u "
            "ON u.occurred_at = json_extract(k.value, '$[0]') AND u.object_id = json_extract(k.value, '$[1]') "
            "AND u.metric_id = json_extract(k.value, '$[2]') AND u.discriminator = json_extract(k.value, '$[3]') "
            "WHERE u.batch <> ?",
            (json.dumps(keys), batch),
        )
    else:
        columns = tuple(list(column) for column in zip(*keys, strict=True))
        rows = connection.exec_driver_sql(
            "SELECT u.occurred_at, u.object_id, u.metric_id, u.discriminator, u.quantity, u.property_set_id "
            "FROM unnest(%s::bigint[], %s::int[], %s::int[], %s::text[]) AS k(occurred_at, object_id, metric_id, "
            "discriminator) JOIN usage_record AS u USING (occurred_at, object_id, metric_id, discriminator) "
            "WHERE u.batch <> %s",
            (*columns, batch),
        )
    return {(row[0], row[1], row[2], row[3]): (row[4], row[5]) for row in rows}


def _roll_up(connection: Connection, facts: Sequence[Fact], batch: int) -> None:
    """Add new facts to their days.

    At one instant the smaller quantity counts as first and the greater as last: the order of arrival is nothing.
    """
    days: dict[tuple[int, int, int], _Day] = {}
    for at, object_id, metric_id, _, quantity, *_ in facts:
        key = (at // DAY_MICROS, object_id, metric_id)
        day = days.get(key)
        if day is None:
            days[key] = (1, quantity, quantity, quantity, at, quantity, at, quantity)
            continue
        count, total, top, low, first_at, first, last_at, last = day
        first_at, first = min((first_at, first), (at, quantity))
        last_at, last = max((last_at, last), (at, quantity))
        days[key] = (
            *(count + 1, total + quantity, max(top, quantity), min(low, quantity)),
            *(first_at, first, last_at, last),
        )
    rows = [key + day for key, day in days.items()]
    greatest, least = ("max", "min") if is_sqlite(connection) else ("greatest", "least")
    earlier = "(excluded.first_at, excluded.first_quantity) < (usage_rollup.first_at, usage_rollup.first_quantity)"
    later = "(excluded.last_at, excluded.last_quantity) > (usage_rollup.last_at, usage_rollup.last_quantity)"
    into = (
        "INSERT INTO usage_rollup (day, object_id, metric_id, record_count, quantity_sum, quantity_max, quantity_min, "
        "first_at, first_quantity, last_at, last_quantity, batch) "
    )
    add = (
        "ON CONFLICT (day, object_id, metric_id) DO UPDATE SET "
        "record_count = usage_rollup.record_count + excluded.record_count, "
        "quantity_sum = usage_rollup.quantity_sum + excluded.quantity_sum, "
        f"quantity_max = {greatest}(usage_rollup.quantity_max, excluded.quantity_max), "
        f"quantity_min = {least}(usage_rollup.quantity_min, excluded.quantity_min), "
        f"first_at = CASE WHEN {earlier} THEN excluded.first_at ELSE usage_rollup.first_at END, "
        f"first_quantity = CASE WHEN {earlier} THEN excluded.first_quantity ELSE usage_rollup.first_quantity END, "
        f"last_at = CASE WHEN {later} THEN excluded.last_at ELSE usage_rollup.last_at END, "
        f"last_quantity = CASE WHEN {later} THEN excluded.last_quantity ELSE usage_rollup.last_quantity END, "
        "batch = excluded.batch"
    )
    if is_sqlite(connection):
        write_many(connection, f"{into} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {batch:d}) {add}", rows)
    else:
        types = ("int", "int", "int", *("bigint",) * 8)
        write_columns(connection, f"{into} SELECT d.*, {batch:d} FROM {{rows}} AS d {add}", types, rows)


def _chunks(values: list[str]) -> Iterable[list[str]]:
    return (values[start : start + LOOKUP_CHUNK] for start in range(0, len(values), LOOKUP_CHUNK))


__all__ = [
    "Fact",
    "MetricRow",
    "Recorded",
    "forget_times",
    "metrics_named",
    "next_batch",
    "object_ids",
    "record",
    "remember_times",
    "rollup_differences",
]
