"""What becomes of usage messages: recorded once, or in quarantine with a reason."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.settings import Settings
from gateway.ingest import Applied, ingest_batch, replay
from gateway.message import Message, Rules
from storage import quarantine, usage
from storage.database import Database
from storage.tables import ConnectedObject, Metric, Quarantine
from storage.types import to_micros
from tests.ingest.conftest import NOON, stored

Make = Callable[..., Message]
TS = "2022-04-14T10:00:00Z"


def take(database: Database, rules: Rules, *messages: Message) -> Applied:
    applied = ingest_batch(database, messages, rules, now=NOON)
    with database.snapshot() as session:
        assert usage.rollup_differences(session) == []
    return applied


def waiting(database: Database) -> list[Quarantine]:
    with database.snapshot() as session:
        return quarantine.listed(session)


def test_a_usage_of_12_is_one_record_scaled_by_the_decimals(database: Database, rules: Rules, message: Make) -> None:
    take(database, rules, message({"ts": TS, "metrics": {"usage": 12}}))
    (record,) = stored(database)
    assert (record.quantity, record.occurred_at) == (12_000_000, datetime(2022, 4, 14, 10, tzinfo=UTC))
    assert (record.origin, record.batch, record.unkeyed) == ("mqtt", 1, 0)


@pytest.mark.parametrize(
    "body",
    [
        {"ts": TS, "metrics": {"usage": 12}},
        {"ts": 1649930400000, "metrics": {"usage": 12}},
        {"id": "m1", "metrics": {"usage": 12}},
        [{"id": "m1", "metrics": {"usage": 1}}, {"id": "m1", "metrics": {"usage": 2}}],
    ],
    ids=["time", "epoch", "id alone", "array sharing an id"],
)
def test_a_repeat_changes_nothing(database: Database, rules: Rules, message: Make, body: object) -> None:
    first = take(database, rules, message(body))
    again = take(database, rules, message(body, at=NOON + timedelta(hours=1)), message(body))
    assert again.records == 0
    assert again.duplicates == 2 * first.records
    assert len(stored(database)) == first.records
    assert waiting(database) == []


def test_the_same_key_with_another_value_is_quarantined(database: Database, rules: Rules, message: Make) -> None:
    take(database, rules, message({"ts": TS, "metrics": {"usage": 12}}))
    applied = take(database, rules, message({"ts": TS, "metrics": {"usage": 13}}))
    assert applied.refused == {"conflict": 1}
    assert [record.quantity for record in stored(database)] == [12_000_000]
    assert [row.reason for row in waiting(database)] == ["conflict"]


def test_a_conflict_inside_one_batch_keeps_the_first(database: Database, rules: Rules, message: Make) -> None:
    applied = take(
        database,
        rules,
        message({"ts": TS, "metrics": {"usage": 12}}),
        message({"ts": TS, "metrics": {"usage": 13}}),
        message({"ts": TS, "metrics": {"usage": 12}}),
    )
    assert (applied.records, applied.duplicates, applied.refused) == (1, 1, {"conflict": 1})


REFUSED: dict[str, list[Any]] = {
    "bad_json": [b"{", b"\xff", b"", b'{"id": "\\ud800", "metrics": {"usage": 1}}', b"[" * 60_000],
    "bad_number": [
        b'{"metrics": {"usage": NaN}}',
        b'{"metrics": {"usage": -Infinity}}',
        {"metrics": {"usage": "12"}},
        {"metrics": {"usage": True}},
        b'{"metrics": {"usage": 1e999999}}',
    ],
    "bad_shape": [
        [],
        7,
        {"metrics": {}},
        {"metrics": {"usage": 1}, "timestamp": 5},
        b'{"metrics": {"usage": 1, "usage": 2}}',
        {"id": "", "metrics": {"usage": 1}},
    ],
    "bad_time": [
        {"ts": "2022-04-14T10:00:00", "metrics": {"usage": 1}},
        {"ts": "2022-02-30T10:00:00Z", "metrics": {"usage": 1}},
        {"ts": "0001-01-01T00:00:00+14:00", "metrics": {"usage": 1}},
        {"ts": "9999-12-31T23:59:59-14:00", "metrics": {"usage": 1}},
        b'{"ts": 1.5, "metrics": {"usage": 1}}',
        {"ts": None, "metrics": {"usage": 1}},
    ],
    "implausible_time": [
        {"ts": "2000-01-01T00:00:00Z", "metrics": {"usage": 1}},
        {"ts": "2022-04-16T12:00:00Z", "metrics": {"usage": 1}},
    ],
    "unknown_metric": [{"ts": TS, "metrics": {"usage": 1, "nothing": 2}}],
    "too_large": [b" " * 65_537],
}


@pytest.mark.parametrize(
    "reason,body", [(reason, body) for reason, bodies in REFUSED.items() for body in bodies], ids=lambda _: ""
)
def test_what_cannot_be_billed_waits_in_quarantine_whole(
    database: Database, rules: Rules, message: Make, reason: str, body: object
) -> None:
    refused = message(body)
    applied = take(database, rules, refused, message({"ts": TS, "metrics": {"usage": 12}}))
    assert applied.refused == {reason: 1}
    assert applied.records == 1
    (row,) = waiting(database)
    assert (row.reason, row.payload, row.object_reference) == (reason, refused.payload, "IOT_NS542")


def test_an_unknown_object_waits_and_is_replayed_with_its_first_time(
    database: Database, rules: Rules, message: Make
) -> None:
    take(database, rules, message({"metrics": {"usage": 12}}, reference="LATER"))
    (row,) = waiting(database)
    assert row.id is not None
    with database.transaction() as session:
        assert "LATER" in (replay(session, row.id, rules, now=NOON) or "")
        session.add(ConnectedObject(reference="LATER", status="active", created_at=NOON))
        assert replay(session, row.id, rules, now=NOON + timedelta(days=3)) is None
        with pytest.raises(LookupError):
            replay(session, row.id, rules, now=NOON)
    (record,) = stored(database)
    assert (record.occurred_at, record.origin) == (NOON, "replay")


def test_a_replay_that_conflicts_writes_nothing(database: Database, rules: Rules, message: Make) -> None:
    take(database, rules, message({"ts": TS, "metrics": {"usage": 12}}))
    take(database, rules, message([{"ts": TS, "metrics": {"usage": 9}}, {"metrics": {"unknown": 1}}]))
    (row,) = waiting(database)
    assert row.id is not None
    with database.transaction() as session:
        session.add(Metric(name="unknown", unit="unit", kind="delta"))
        assert "already" in (replay(session, row.id, rules, now=NOON) or "")
    assert len(stored(database)) == 1
    assert [left.status for left in waiting(database)] == ["waiting"]


def test_deltas_without_a_key_are_all_counted_and_flagged(database: Database, rules: Rules, message: Make) -> None:
    body = {"metrics": {"usage": 1}}
    applied = take(database, rules, message(body), message(body), message([body, body]))
    assert (applied.records, applied.unkeyed) == (4, 4)
    assert {record.unkeyed for record in stored(database)} == {1}


def test_a_setting_refuses_deltas_without_a_key(database: Database, message: Make) -> None:
    rules = Rules.of(Settings(unkeyed_deltas="refuse"))
    applied = take(database, rules, message({"metrics": {"usage": 1}}), message({"metrics": {"energy": 5}}))
    assert (applied.records, applied.refused) == (1, {"unkeyed": 1})


def test_a_retained_copy_counts_only_with_a_key(database: Database, rules: Rules, message: Make) -> None:
    keyed = message({"ts": TS, "metrics": {"usage": 12}}, retained=True)
    unkeyed = message({"metrics": {"usage": 12}}, retained=True)
    applied = take(database, rules, keyed, unkeyed, keyed, unkeyed)
    assert (applied.records, applied.duplicates, applied.refused) == (1, 1, {"retained_unkeyed": 2})
    assert len(waiting(database)) == 1


def test_a_backfill_array_is_one_record_a_sample(database: Database, rules: Rules, message: Make) -> None:
    hours = [{"ts": f"2022-04-{day:02d}T10:00:00+02:00", "metrics": {"usage": 1, "level": day}} for day in range(1, 11)]
    assert take(database, rules, message(hours)).records == 20
    assert take(database, rules, message(hours[5:])).duplicates == 10


def test_more_digits_are_rounded_once_half_away_from_zero(database: Database, rules: Rules, message: Make) -> None:
    take(database, rules, message(b'{"id": "a", "metrics": {"usage": 0.0000005, "energy": -0.0000005}}'))
    assert sorted(record.quantity for record in stored(database)) == [-1, 1]


def test_a_day_that_leaves_64_bits_fails_alone(database: Database, rules: Rules, message: Make) -> None:
    huge = [message({"id": f"h{n}", "ts": TS, "metrics": {"usage": 10**11}}) for n in range(93)]
    applied = take(database, rules, *huge, message({"id": "fine", "ts": TS, "metrics": {"level": 1}}))
    assert applied.refused == {"failed": 1}
    assert applied.records == 93


def test_the_rollup_is_the_facts_in_any_order_and_any_batches(database: Database, rules: Rules, message: Make) -> None:
    source = random.Random(542)  # noqa: S311 - a seed, not a secret
    bodies = [
        {
            "id": str(source.randrange(150)),
            "ts": to_micros(NOON - timedelta(minutes=source.randrange(3000) // 10 * 10)) // 1000,
            "metrics": {source.choice(["usage", "energy", "level"]): source.randrange(-5, 1000)},
        }
        for _ in range(400)
    ]
    bodies += source.sample(bodies, 200)
    while bodies:
        size = source.randrange(1, 60)
        take(database, rules, *(message(body) for body in bodies[:size]))
        bodies = bodies[size:]
    assert len(stored(database)) > 300


def test_a_rollup_that_was_tampered_with_is_found(database: Database, rules: Rules, message: Make) -> None:
    take(database, rules, message({"ts": TS, "metrics": {"usage": 12}}))
    for column in ("quantity_sum", "last_quantity", "record_count"):
        with database.transaction() as session:
            session.connection().exec_driver_sql(f"UPDATE usage_rollup SET {column} = {column} + 1")
            assert len(usage.rollup_differences(session)) == 1
            session.connection().exec_driver_sql(f"UPDATE usage_rollup SET {column} = {column} - 1")
            assert usage.rollup_differences(session) == []


def test_a_repeat_among_many_is_found_and_the_others_are_written(
    database: Database, rules: Rules, message: Make
) -> None:
    def bodies(first: int) -> list[Message]:
        return [message({"id": f"m{n}", "ts": TS, "metrics": {"usage": n}}) for n in range(first, first + 150)]

    assert take(database, rules, *bodies(0)).records == 150
    overlapping = take(database, rules, *bodies(100))
    assert (overlapping.records, overlapping.duplicates) == (100, 50)
    twice = take(database, rules, *bodies(300), message({"id": "m301", "ts": TS, "metrics": {"usage": 7}}))
    assert (twice.records, twice.refused) == (150, {"conflict": 1})
    assert len(stored(database)) == 400


def test_a_day_that_is_not_noted_as_touched_is_found(database: Database, rules: Rules, message: Make) -> None:
    take(database, rules, message({"ts": TS, "metrics": {"usage": 1}}))
    with database.transaction() as session:
        session.connection().exec_driver_sql("UPDATE usage_day SET batch = batch - 1")
    with database.snapshot() as session:
        assert [day for _, _, day in usage.rollup_differences(session)] == [19_096]
