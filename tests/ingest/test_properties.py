"""Properties that usage carries: part of the fact, kept as texts, refused when they cannot be read."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from billing.core.errors import Invalid
from billing.core.properties import canonical, checked_properties
from gateway.ingest import Applied, ingest_batch
from gateway.message import Message, Rules
from storage import overview, quarantine
from storage.database import Database
from storage.tables import Quarantine
from tests.ingest.conftest import NOON, REFERENCE, stored

Make = Callable[..., Message]
TS = "2022-04-14T10:00:00Z"
LATER = "2022-04-14T11:00:00Z"


def take(database: Database, rules: Rules, *messages: Message) -> Applied:
    return ingest_batch(database, messages, rules, now=NOON)


def body(value: int = 12, ts: str = TS, **properties: object) -> dict[str, Any]:
    return {"ts": ts, "metrics": {"usage": value}, "properties": properties}


def properties_of(database: Database) -> list[dict[str, str]]:
    with database.snapshot() as session:
        rows = overview.usage_of(session, REFERENCE, since=None, until=None, limit=100)
    return [row["properties"] for row in rows]


def waiting(database: Database) -> list[Quarantine]:
    with database.snapshot() as session:
        return quarantine.listed(session)


def test_properties_are_kept_as_texts(database: Database, rules: Rules, message: Make) -> None:
    take(database, rules, message(body(zone="night", peak=True, tariff=7, code="07")))
    assert properties_of(database) == [{"code": "07", "peak": "true", "tariff": "7", "zone": "night"}]


def test_each_sample_of_an_array_and_each_of_its_metrics_has_its_own(
    database: Database, rules: Rules, message: Make
) -> None:
    sample = {"ts": TS, "metrics": {"usage": 1, "level": 2}, "properties": {"zone": "night"}}
    take(
        database,
        rules,
        message([sample, body(ts=LATER, zone="day"), {"ts": NOON.isoformat(), "metrics": {"usage": 5}}]),
    )
    assert properties_of(database) == [{"zone": "night"}, {"zone": "night"}, {"zone": "day"}, {}]


def test_a_set_of_properties_stands_once_however_often_it_comes(
    database: Database, rules: Rules, message: Make
) -> None:
    for hour in range(3):
        take(database, rules, message(body(ts=f"2022-04-14T0{hour}:00:00Z", zone="night", tariff=hour % 2)))
    database.known.property_sets.clear()
    take(database, rules, message(body(ts=LATER, tariff="1", zone="night")))
    assert len({record.property_set_id for record in stored(database)}) == 2


@pytest.mark.parametrize("spelt", [{"tariff": 7}, {"tariff": "7"}, {"tariff": Decimal("7.0")}, {"tariff": 70}])
def test_a_number_is_the_text_of_its_value(spelt: dict[str, Any]) -> None:
    assert checked_properties(spelt)["tariff"] == str(spelt["tariff"]).removesuffix(".0")


def test_a_repeat_is_a_duplicate_whatever_the_order_and_spelling(
    database: Database, rules: Rules, message: Make
) -> None:
    take(database, rules, message(body(zone="night", tariff=7)))
    again = message(b'{"properties":{"tariff":7.0,"zone":"night"},"ts":"2022-04-14T10:00:00Z","metrics":{"usage":12}}')
    applied = take(database, rules, again)
    assert (applied.records, applied.duplicates, applied.refused) == (0, 1, {})


@pytest.mark.parametrize("together", [False, True], ids=["a later batch", "one batch"])
@pytest.mark.parametrize(
    "first, second",
    [({"zone": "night"}, {"zone": "day"}), ({"zone": "night"}, {}), ({}, {"zone": "night"})],
    ids=["other", "none any more", "none before"],
)
def test_the_same_key_with_other_properties_is_a_conflict(
    database: Database, rules: Rules, message: Make, first: Any, second: Any, *, together: bool
) -> None:
    batches = [message(body(**first)), message(body(**second))]
    refused = [take(database, rules, *batch).refused for batch in ([batches] if together else [[it] for it in batches])]
    assert refused[-1] == {"conflict": 1}
    assert properties_of(database) == [first]
    assert "with other properties" in waiting(database)[0].detail


def test_a_message_without_properties_beside_one_with_them_is_its_own_record(
    database: Database, rules: Rules, message: Make
) -> None:
    applied = take(database, rules, message({"ts": LATER, "metrics": {"usage": 1}}), message(body(zone="night")))
    assert (applied.records, properties_of(database)) == (2, [{"zone": "night"}, {}])


HOSTILE = {
    "nested": (b'{"zone": {"a": {"b": {"c": 1}}}}', "should be a text, a number, true or false"),
    "a list": (b'{"zone": ["night"]}', "should be a text, a number, true or false"),
    "null": (b'{"zone": null}', "should be a text, a number, true or false"),
    "no object": (b"null", "should be a JSON object"),
    "an array": (b'["zone", "night"]', "should be a JSON object"),
    "too long": (b'{"zone": "' + b"x" * 201 + b'"}', "at most 200 printable characters"),
    "a long name": (b'{"' + b"x" * 101 + b'": 1}', "a name of 1 to 100 printable characters"),
    "no name": (b'{"": 1}', "a name of 1 to 100 printable characters"),
    "a control character": (b'{"zone": "a\\nb"}', "at most 200 printable characters"),
    "too many": (b"{" + b",".join(b'"p%d":%d' % (n, n) for n in range(21)) + b"}", "send at most 20"),
    "a huge number": (b'{"zone": 1e999999999}', "has more than 40 digits"),
    "many digits": (b'{"zone": ' + b"1" * 4_000 + b"}", "has more than 40 digits"),
    "tiny": (b'{"zone": 1e-999999999}', "has more than 40 digits"),
    "not a number": (b'{"zone": NaN}', "NaN is not a number"),
    "a key twice": (b'{"zone": "night", "zone": "day"}', "a key stands twice"),
    "a key that is no text": (b"{7: 1}", "not JSON"),
    "deep": (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "not JSON"),
    "half a character": (b'{"zone": "\\ud800"}', "not JSON"),
}


@pytest.mark.parametrize("properties", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_cannot_be_read_is_quarantined_with_the_reason(
    database: Database, rules: Rules, message: Make, properties: tuple[bytes, str]
) -> None:
    stated, sentence = properties
    payload = b'{"ts": "2022-04-14T10:00:00Z", "metrics": {"usage": 1}, "properties": ' + stated + b"}"
    applied = take(database, rules, message(payload), message(body(ts=LATER, zone="night")))
    assert (applied.records, sum(applied.refused.values())) == (1, 1)
    (row,) = waiting(database)
    assert row.reason in {"bad_properties", "bad_json", "bad_number", "bad_shape"}
    assert sentence in row.detail
    assert len(row.detail) < 300


def test_a_name_that_is_no_text_is_refused_in_the_core_too() -> None:
    with pytest.raises(Invalid, match="should have a name"):
        checked_properties({7: "a"})


def test_no_properties_have_no_text() -> None:
    assert canonical(checked_properties({})) == ""


@pytest.mark.parametrize("repeated", [False, True], ids=["all new", "one is there already"])
def test_many_with_and_without_properties_are_written_together(
    database: Database, rules: Rules, message: Make, *, repeated: bool
) -> None:
    known = message({"ts": "2022-04-13T00:00:00Z", "metrics": {"usage": 1}})
    take(database, rules, known)
    bodies = [
        {"ts": f"2022-04-14T{n // 60:02d}:{n % 60:02d}:00Z", "metrics": {"usage": n, "level": n}}
        | ({"properties": {"zone": "night"}} if n % 3 else {})
        for n in range(150)
    ]
    applied = take(database, rules, *(message(body) for body in bodies), *([known] if repeated else []))
    assert (applied.records, applied.duplicates, applied.refused) == (300, int(repeated), {})
    described = {record.quantity for record in stored(database) if record.property_set_id is not None}
    assert described == {n * 10**6 for n in range(150) if n % 3}
