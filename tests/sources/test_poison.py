"""No bytes on any topic raise, and poison among good messages costs nothing but itself."""

import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ingest import ingest_batch
from gateway.message import Message
from gateway.sources.shipped import preset, preset_names
from gateway.telemetry import Unreadable
from storage.database import Database
from tests.sources.declaring import declare
from tests.sources.test_from_topic_to_usage import METRICS, NOON, quantities, register, rules
from tests.sources.test_from_topic_to_usage import declare as declare_in
from tests.sources.test_presets import METRICS as ALL_METRICS

_ONE = {name: ", reference: METER" if name == "dsmr" else "" for name in preset_names()}
SOURCES = {name: declare(f"sources: [{{name: it, preset: {name}{more}}}]", ALL_METRICS) for name, more in _ONE.items()}
NAMES = (
    "energy",
    "usage",
    "ENERGY",
    "Total",
    "values",
    "metrics",
    "ts",
    "time",
    "Time",
    "object",
    "id",
    "bn",
    "n",
    "v",
)
numbers = st.sampled_from(
    ["0", "-1", "1e999999999", "1E-400", "12.5", "9" * 30, "1649930400000", '"12.5"', '"\\ud800"']
)
scalars = st.one_of(
    numbers, st.sampled_from(["true", "null", '"\\ud800"', '"a/b"', '"\\u0000"', '"2022-04-14T10:00:00Z"', '""'])
)
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda them: f"[{','.join(them)}]"),
        st.lists(st.tuples(st.sampled_from(NAMES), inner), max_size=4).map(
            lambda pairs: "{" + ",".join(f'"{name}":{value}' for name, value in pairs) + "}"
        ),
    ),
    max_leaves=12,
).map(str.encode)
payloads = st.one_of(st.binary(max_size=200), documents)
levels = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\x00"), max_size=12)


@st.composite
def topics(draw: st.DrawFn, name: str) -> str:
    """A topic of the preset, its wildcards filled with anything."""
    shipped = preset(name)
    text = draw(st.sampled_from([str(message["topic"]) for message in shipped.messages]))
    text = text.replace("~", shipped.prefix or "", 1)
    return "/".join(draw(levels) if level.startswith("{") else level for level in text.split("/"))


@settings(max_examples=1200, deadline=None)
@given(data=st.data(), name=st.sampled_from(sorted(SOURCES)), payload=payloads, retained=st.booleans())
def test_no_bytes_on_any_topic_raise(data: st.DataObject, name: str, payload: bytes, *, retained: bool) -> None:
    topic = data.draw(topics(name))
    try:
        parts = SOURCES[name].parts(topic, payload, retained=retained)
    except Unreadable:
        return
    for part in parts:
        assert "\x00" not in part.reference


def test_ten_thousand_poison_messages_among_good_ones_cost_nothing_but_themselves(sqlite_database: Database) -> None:
    declare_in(sqlite_database, METRICS + "sources: [{name: lora, preset: chirpstack}, {name: p, preset: plain}]")
    register(sqlite_database, "A")
    source = random.Random(542)  # noqa: S311 - a seed, not a secret
    good = [
        Message(
            topic="application/7/device/A/event/up",
            payload=json.dumps({"deduplicationId": str(n), "object": {"energy": n}}).encode(),
            received_at=NOON,
        )
        for n in range(1000)
    ]
    shapes = (
        lambda: source.randbytes(40),
        lambda: b'{"object": {"energy": "x' + source.randbytes(3).hex().encode() + b'"}}',
        lambda: b'{"deviceInfo": {"devEui": "B"}, "object": {"energy": 1}}',
        lambda: b'{"time": 7, "object": {"energy": 1}}',
        lambda: b"[" * 5000,
        lambda: b'{"object": {"energy": 1e999999999}}',
    )
    bad = [
        Message(topic="application/7/device/A/event/up", payload=source.choice(shapes)(), received_at=NOON)
        for _ in range(10_000)
    ]
    messages = [*good, *bad]
    source.shuffle(messages)
    in_force = rules(sqlite_database)
    refused = 0
    while messages:
        batch, messages = messages[:2000], messages[2000:]
        refused += ingest_batch(sqlite_database, batch, in_force, now=NOON).refused.total()
    assert refused == 10_000
    assert quantities(sqlite_database) == [n * 1000 for n in range(1000)]
