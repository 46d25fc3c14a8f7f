"""The quick way and the long one make the same rows of every message."""

import json
from datetime import timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from billing.core.errors import Invalid
from billing.core.quantity import scale
from gateway.message import Message
from gateway.sources.quick import QuickSources
from gateway.telemetry import Unreadable
from storage.types import to_micros
from storage.usage import MetricRow, Row
from tests.sources.declaring import NOON, Declared, declare

METRICS = {
    "energy": MetricRow(id=1, kind="cumulative", decimals=3, excess_digits="refuse"),
    "usage": MetricRow(id=2, kind="delta", decimals=6, excess_digits="round"),
}
CATALOGUE = """
metrics:
  - {name: energy, unit: kWh, kind: cumulative, decimals: 3, excess_digits: refuse}
  - {name: usage, unit: unit, kind: delta}
"""
SOURCES = declare(
    """
sources:
  - name: flat
    topic: flat/{object}
    agree: {id: "{object}"}
    time: {path: [at, ts], format: [local, rfc3339], zone: Europe/Paris, fold: refuse}
    metrics: [{path: a.wh, metric: energy, factor: "0.001"}, {path: n, metric: usage, factor: 1/3}]
  - {name: named, topic: 'named/{object}', time: {path: at}, key: key, values: {path: values}}
""",
    CATALOGUE,
)
PAST, FUTURE = timedelta(days=3650), timedelta(hours=24)
EARLIEST, LATEST, RECEIVED = to_micros(NOON - PAST), to_micros(NOON + FUTURE), to_micros(NOON)
numbers = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=5).map(str),
    st.sampled_from(["1e999999", '"12.5"', "true", "null", '"x"', "[1]", '{"energy": 1}']),
)
times = st.sampled_from(
    [
        *('"2022-04-14T10:00:00"', '"2022-10-30T02:30:00"', '"2022-04-14T10:00:00.5+02:00"', '"2022-04-14T10:00:00Z"'),
        *('"2001-01-01T00:00:00Z"', '"2022-04-14T10:00:00.123456789Z"', "7", "null", '""'),
    ]
)
fields = st.one_of(
    st.tuples(st.sampled_from(["at", "ts"]), times),
    st.tuples(st.just("id"), st.sampled_from(['"A"', '"B"', "7", "null"])),
    st.tuples(st.just("key"), st.sampled_from(['"k"', '""', "7", '"\\u0000"', '"' + "k" * 201 + '"'])),
    st.tuples(st.just("a"), numbers.map(lambda it: f'{{"wh": {it}}}')),
    st.tuples(st.just("n"), numbers),
    st.tuples(
        st.just("values"), numbers.flatmap(lambda it: st.just(f'{{"energy": {it}, "other": "x", "usage": null}}'))
    ),
)
payloads = st.lists(fields, max_size=5).map(lambda them: "{" + ",".join(f'"{k}":{v}' for k, v in them) + "}")


def quickly(declared: Declared, message: Message) -> list[Row] | None:
    quick = QuickSources(declared.sources, {"A": 7}, METRICS, own_prefix="devices/", payload_bytes=65_536)
    return quick.rows(message, RECEIVED, EARLIEST, LATEST)


def slowly(declared: Declared, message: Message) -> list[Row]:
    """What the long way makes of it; nothing when it is refused."""
    rows: list[Row] = []
    try:
        for part in declared.parts(message.topic, message.payload):
            assert isinstance(part.content, tuple)
            for sample in part.content:
                if sample.occurred_at is None or not EARLIEST <= sample.occurred_at <= LATEST:
                    return []
                for name, value in sample.values:
                    metric = METRICS[name]
                    quantity = scale(value, metric.decimals, metric.excess_digits)
                    key = (sample.occurred_at, 7, metric.id, sample.sender_id)
                    rows.append((*key, quantity, RECEIVED, "mqtt", False))
    except (Unreadable, Invalid):
        return []
    return rows


@settings(max_examples=1500, deadline=None)
@given(name=st.sampled_from(["flat", "named"]), payload=payloads)
@example(name="flat", payload='{"ts": "2022-04-14T10:00:00Z", "a": {"wh": 12345}, "n": 1}')
@example(name="named", payload='{"at": "2022-04-14T10:00:00Z", "key": "k", "values": {"usage": 1.5}}')
def test_what_is_taken_quickly_is_what_is_taken_slowly(name: str, payload: str) -> None:
    message = Message(topic=f"{name}/A", payload=payload.encode(), received_at=NOON)
    rows = quickly(SOURCES, message)
    assert rows is None or (rows and rows == slowly(SOURCES, message))


def test_the_common_message_is_taken_quickly_and_the_others_are_left() -> None:
    good = json.dumps({"at": "2022-04-14T10:00:00Z", "key": "k", "values": {"usage": 1.5}}).encode()
    assert quickly(SOURCES, Message(topic="named/A", payload=good, received_at=NOON)) is not None
    for other in (
        Message(topic="named/UNKNOWN", payload=good, received_at=NOON),
        Message(topic="devices/A/telemetry", payload=good, received_at=NOON),
        Message(topic="named/A", payload=good, received_at=NOON, retained=True),
        Message(topic="named/A", payload=b"[" + good + b"," + good + b"]", received_at=NOON),
    ):
        assert quickly(SOURCES, other) is None
