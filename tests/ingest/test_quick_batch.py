"""The quick way and the long way make the same rows of every message."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from config.settings import Settings
from gateway.ingest import apply_messages, ingest_batch
from gateway.message import Message, Rules
from gateway.quick_batch import NEVER, Limits, take_quickly
from storage import usage
from storage.database import Database
from tests.ingest.conftest import NOON, REFERENCE, seed, stored
from tests.ingest.test_quick_telemetry import entries, mutated

RULES = Rules.of(Settings())
TOPIC = f"devices/{REFERENCE}/telemetry"
TS = "2022-04-14T10:00:00Z"
COLUMNS = "occurred_at, object_id, metric_id, discriminator, quantity, received_at, origin, unkeyed"
SAID = "(SELECT content FROM property_set p WHERE p.id = property_set_id)"
Make = Callable[..., Message]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database of SQLite that every example leaves as it was."""
    path: Path = tmp_path_factory.mktemp("quick")
    it = Database(f"sqlite:///{path / 'metergate.db'}")
    it.migrate()
    seed(it)
    yield it
    it.dispose()


@settings(max_examples=400, deadline=None)
@given(payload=st.one_of(mutated(), entries.map(str.encode)))
@example(b'{"ts":"2022-04-14T10:00:00.123Z","id":"a","metrics":{"usage":12.325,"level":1}}')
@example(b'{"ts":"2022-04-14T10:00:00","metrics":{"usage":1}}')
@example(b'{"ts":"2022-04-14T10:00:00+02:00","metrics":{"usage":1}}')
@example(b'{"ts":"2022-04-14T10:00:00.\xd9\xa4Z","metrics":{"usage":1}}')
@example(b'{"ts":"2022-04-14T10:00:00.1234567891Z","metrics":{"usage":1}}')
@example(b'{"ts":"2002-04-14T10:00:00Z","metrics":{"usage":1}}')
@example(b'{"ts":1649930400000,"metrics":{"usage":-1e-6}}')
@example(b'{"ts":1649930400000,"metrics":{"usage":1,"usage":1}}')
@example(b'{"ts":1649930400000,"metrics":{"usage":"1"}}')
@example(b'{"ts":1649930400000,"metrics":{"usage":1e12}}')
@example(b'{"ts":1649930400000,"metrics":{"usage":[1]}}')
@example(b'{"ts":1649930400000,"metrics":{"usage":null}}')
@example(b'{"ts":1649930400000,"metrics":{"usage":true}}')
@example(b'{"ts":1649930400000,"metrics":{"usage":1_0}}')
@example(b'{"ts":1649930400000,"metrics":{"usage":01}}')
@example(b'{"ts":1649930400000,"metrics":{"usage":0.0000000000000000000000000001}}')
@example(b'{"ts":1649930400000,"metrics":{"usage":1,"level":2},"properties":{"zone":"night","tariff":7,"peak":true}}')
@example(b'{"ts":1649930400000,"metrics":{"usage":1},"properties":{"zone":"night","zone":"day"}}')
@example(b'{"ts":1649930400000,"metrics":{"usage":1},"properties":{}}')
@example(b'{"ts":1649930400000,"metrics":{"usage":1},"properties":{"a":{"b":"c"}}}')
def test_what_is_taken_quickly_is_what_the_long_way_takes(empty: Database, payload: bytes) -> None:
    message = Message(topic=TOPIC, payload=payload, received_at=NOON)
    with empty.transaction() as session:
        object_id = usage.object_ids(session, [REFERENCE])[REFERENCE]
        taken = take_quickly([message], {TOPIC: object_id}, usage.metrics(session), RULES.limits([]))
        apply_messages(session, [message], RULES, now=NOON)
        rows = session.connection().exec_driver_sql(f"SELECT {COLUMNS}, {SAID} FROM usage_record").all()
        session.rollback()
    if taken.left:
        assert taken.rows == []
    else:
        made = [(*row, taken.described.get(place)) for place, row in enumerate(taken.rows)]
        assert sorted(made, key=str) == sorted((tuple(row) for row in rows), key=str) != []


def test_the_common_message_goes_the_quick_way(message: Make) -> None:
    metrics = {"usage": usage.MetricRow(1, "delta", 6, "round")}
    bodies = [
        {"id": "m1", "ts": "2022-04-14T10:00:00.250Z", "metrics": {"usage": 1.5}},
        {"ts": 1649930400000, "metrics": {"usage": 2}, "properties": {"zone": "night"}},
    ]
    taken = take_quickly([message(body) for body in bodies], {TOPIC: 9}, metrics, Limits(4096, 10**14, 0))
    assert (taken.left, taken.owners, [row[4] for row in taken.rows]) == ([], [0, 1], [1_500_000, 2_000_000])
    assert taken.described == {1: '{"zone":"night"}'}


@pytest.mark.parametrize("since", [NEVER, 1_649_930_400_000_001])
def test_what_may_be_of_an_archived_month_is_left_to_the_long_way(message: Make, since: int) -> None:
    metrics = {"usage": usage.MetricRow(1, "delta", 6, "round")}
    taken = take_quickly(
        [message({"ts": 1649930400000, "metrics": {"usage": 2}})], {TOPIC: 9}, metrics, Limits(4096, 10**14, 0, since)
    )
    assert bool(taken.left) == (since != NEVER)


def test_the_first_of_two_with_one_key_stands_whichever_way_each_goes(
    database: Database, rules: Rules, message: Make
) -> None:
    ingest_batch(database, [message({"ts": 1649930300000, "metrics": {"usage": 1}})], rules, now=NOON)
    long_way = message([{"ts": TS, "metrics": {"usage": 12}}])
    quick_way = message({"ts": TS, "metrics": {"usage": 13}})
    applied = ingest_batch(database, [long_way, quick_way], rules, now=NOON)
    assert (applied.records, applied.refused) == (1, {"conflict": 1})
    assert {record.quantity for record in stored(database)} == {1_000_000, 12_000_000}


def test_a_report_of_a_known_object_is_no_usage(database: Database, rules: Rules, message: Make) -> None:
    usage_like = json.dumps({"ts": TS, "metrics": {"usage": 12}}).encode()
    for _ in range(2):
        report = message({"event": "online"}, leaf="lifecycle", at=NOON + timedelta(minutes=1))
        ingest_batch(database, [report], rules, now=NOON)
    applied = ingest_batch(database, [message(usage_like, leaf="lifecycle")], rules, now=NOON)
    assert (applied.records, applied.refused) == (0, {"bad_shape": 1})
