"""The quick decoder and the strict one say the same of every payload."""

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.quick_telemetry import decode_quickly
from gateway.telemetry import Unreadable, decode_telemetry

LIMIT = 65_536
numbers = st.one_of(
    st.integers(-(10**18), 10**18).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=7).map(str),
    st.sampled_from(
        [
            *("-0", "0.10", "1e5", "1e-05", "1E-400", "1e999999", "01", "1.", "1e", "1_0", "NaN", '"12"', "true"),
            *("null", "[1]", "1" * 4_400),
        ]
    ),
)
times = st.one_of(
    st.datetimes().map(lambda at: json.dumps(at.isoformat() + "Z")),
    st.sampled_from(
        [
            *('"2022-04-14t10:00:00.5z"', '"2022-04-14T10:00:00.1234567+02:00"', '"2022-04-14T10:00:60Z"'),
            *('"2022"', '""', '"2022-04-14T10:00:00.Z"', "1649930400000", "-1", "1.0", "1e3", "9" * 15),
            *("null", "true"),
        ]
    ),
)
texts = st.one_of(st.text(max_size=8), st.sampled_from(["m1", "", "x" * 201, "\u0664", "\x00"])).map(
    lambda text: json.dumps(text, ensure_ascii=False)
)
metrics = st.lists(st.tuples(st.sampled_from(["usage", "level"]).map(json.dumps), numbers), max_size=3).map(
    lambda pairs: "{" + ",".join(f"{name}: {value}" for name, value in pairs) + "}"
)
plain = st.one_of(texts, numbers, st.sampled_from(["true", "7", "7.0", '"7"', "[]", "{}", "1e30", "1" * 50]))
properties = st.one_of(
    st.lists(st.tuples(st.one_of(texts, st.just('"zone"')), plain), max_size=3).map(
        lambda pairs: "{" + ",".join(f"{name}: {value}" for name, value in pairs) + "}"
    ),
    st.sampled_from(["null", "[]", '"night"', '{"a": {"b": 1}}']),
)
fields = st.one_of(
    st.tuples(st.just('"properties"'), properties),
    st.tuples(st.just('"id"'), texts),
    st.tuples(st.just('"ts"'), times),
    st.tuples(st.just('"metrics"'), metrics),
    st.tuples(st.sampled_from(['"other"', '"i\\u0064"']), numbers),
)
entries = st.tuples(st.lists(fields, max_size=3), metrics).map(
    lambda parts: "{" + ", ".join(f"{key}:{value}" for key, value in [*parts[0], ('"metrics"', parts[1])]) + "}"
)
payloads = st.one_of(
    entries.map(str.encode),
    st.lists(entries, max_size=3).map(lambda many: f"[{', '.join(many)}]".encode()),
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    payload = bytearray(draw(payloads))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(payload)))
        payload[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(payload)


def said(decode: Any, payload: bytes) -> object:
    try:
        return decode(payload, limit_bytes=LIMIT)
    except Unreadable as error:
        return error.reason, str(error)


@settings(max_examples=1500, deadline=None)
@given(payload=mutated())
@example(b'{"id":"a","metrics":{"usage":1,"usage":2}}')
@example(b'{"metrics":{"usage":"12"}}')
@example(b'{"id":"","metrics":{"usage":1}}')
@example(b'{"id":"a","ts":"2022-04-14T10:00:00.123Z","metrics":{"usage":12.325}}')
@example(b'[{"id":"a","metrics":{"usage":1}},{"id":"a","metrics":{"usage":1}}]')
@example(b'{"ts":1649930400000,"metrics":{"usage":1},"properties":{"zone":"night","peak":true,"tariff":7}}')
@example(b'{"metrics":{"usage":1},"properties":{"zone":"night","zone":"day"}}')
@example(b'{"metrics":{"usage":1},"properties":{"zone":"night"},"properties":{"zone":"night"}}')
@example(b'{"metrics":{"usage":1},"properties":null}')
def test_what_is_read_quickly_is_what_is_read_strictly(payload: bytes) -> None:
    assert said(decode_quickly, payload) == said(decode_telemetry, payload)
