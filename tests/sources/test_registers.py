"""Readings that say which register they are of: another word begins another register, whatever order they come in."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from billing import catalogue, readings
from billing.core.properties import REGISTER
from billing.readings import Held
from config.settings import Settings
from gateway.ingest import apply_messages
from gateway.message import Message, Rules
from gateway.sources.declaration import source_rules
from gateway.sources.stored import load
from storage.database import Database
from tests.usecases.changing import SELLER, World, contract, plans

JANUARY, FEBRUARY = date(2022, 1, 31), date(2022, 2, 28)
METERED = SELLER.replace("customers:", "  - {name: energy, unit: kWh, kind: cumulative, decimals: 3}\ncustomers:")
CHARGE = (
    '{name: Energy, type: usage, vat_rate: "20", calculator: '
    '{metric: energy, price: {model: per_unit, unit_price: "1"}}}'
)
NOON = datetime(2022, 3, 1, 12, tzinfo=UTC)
OLD, NEW = "2020-01-01T00:00:00", "2022-01-15T12:00:00"


@pytest.fixture
def world(database: Database) -> World:
    it = World(database, plans(P=[CHARGE]) + "contracts:\n" + contract("C", "P"), METERED)
    it.active("P", date(2022, 1, 1))
    return it


def reads(it: World, *told: tuple[str, str, str], refused: int = 0) -> None:
    """Native readings that say which register they are of: day, reading, word; how many are refused."""
    messages = [
        Message(
            topic="devices/IOT_1/telemetry",
            payload=(
                f'{{"ts": "{day}T10:00:00Z", "metrics": {{"energy": {Decimal(reading)}}}, '
                f'"properties": {{"{REGISTER}": "{word}"}}}}'
            ).encode(),
            received_at=NOON,
        )
        for day, reading, word in told
    ]
    with it.database.transaction() as session:
        applied = apply_messages(session, messages, Rules.of(Settings(), load(session)), now=NOON)
    assert sum(applied.refused.values()) == refused


def billed(it: World, until: date) -> dict[str, int]:
    found: dict[str, int] = {}
    for *_, start, amount in it.bills(until):
        found[start] = found.get(start, 0) + amount
    return found


def held(it: World) -> list[Held]:
    with it.database.snapshot() as session:
        return readings.held(session, NOON)


def test_another_word_begins_another_register(world: World) -> None:
    reads(world, ("2022-01-02", "100", OLD), ("2022-01-10", "150", OLD), ("2022-01-16", "2", NEW))
    reads(world, ("2022-01-30", "12", NEW))
    assert billed(world, JANUARY) == {"2022-01-01": 6000}
    assert [detail["marker"] for kind, detail in world.events() if kind == "exchanged"] == [NEW]


def test_what_a_refused_reading_says_of_its_register_begins_none(world: World) -> None:
    reads(world, ("2022-01-02", "100", OLD), ("2022-01-10", "150", OLD), ("2022-01-20", "180", OLD))
    reads(world, ("2022-01-30", "200", OLD))
    reads(world, ("2022-01-20", "180", NEW), refused=1)
    assert billed(world, JANUARY) == {"2022-01-01": 10000}
    assert [kind for kind, _ in world.events() if kind == "exchanged"] == []


def test_told_in_any_order_it_comes_to_the_same(world: World) -> None:
    reads(world, ("2022-01-30", "12", NEW), ("2022-01-10", "150", OLD))
    reads(world, ("2022-01-16", "2", NEW), ("2022-01-02", "100", OLD))
    assert billed(world, JANUARY) == {"2022-01-01": 6000}


def test_a_word_that_comes_late_corrects_what_was_invoiced(world: World) -> None:
    reads(world, ("2022-01-02", "100", OLD), ("2022-01-10", "150", OLD))
    assert billed(world, JANUARY) == {"2022-01-01": 5000}
    reads(world, ("2022-01-16", "2", NEW), ("2022-01-30", "12", NEW), ("2022-02-20", "40", NEW))
    assert billed(world, FEBRUARY) == {"2022-01-01": 1000, "2022-02-01": 2800}


@pytest.mark.parametrize("late", [False, True])
def test_a_word_that_comes_back_begins_a_register_again(world: World, *, late: bool) -> None:
    old = [("2022-01-02", "100", OLD), ("2022-01-05", "150", OLD)]
    new = [("2022-01-06", "900", NEW), ("2022-01-20", "960", NEW)]
    again = [("2022-01-21", "20", OLD), ("2022-01-30", "27", OLD)]
    reads(world, *old)
    reads(world, *(again if late else new))
    reads(world, *(new if late else again))
    assert billed(world, JANUARY) == {"2022-01-01": 11700}
    assert held(world) == []


def test_of_words_that_take_turns_each_begins_a_register(world: World) -> None:
    old = [("2022-01-02", "100", OLD), ("2022-01-10", "110", OLD), ("2022-01-11", "113", OLD)]
    new = [
        ("2022-01-05", "900", NEW),
        ("2022-01-06", "905", NEW),
        ("2022-01-20", "960", NEW),
        ("2022-01-30", "961", NEW),
    ]
    reads(world, *old)
    reads(world, *reversed(new))
    assert billed(world, JANUARY) == {"2022-01-01": 900}
    begun = [detail["at"][:10] for kind, detail in world.events() if kind == "exchanged"]
    assert begun == ["2022-01-05", "2022-01-10", "2022-01-20"]


def test_an_exchange_that_was_told_says_more_than_the_word(world: World) -> None:
    reads(world, ("2022-01-02", "100", OLD), ("2022-01-10", "150", OLD))
    told = {"metric": "energy", "at": "2022-01-15T12:00:00+00:00", "final": "155", "initial": "0"}
    world.do("exchange", date(2022, 1, 20), **told)
    reads(world, ("2022-01-16", "2", NEW), ("2022-01-30", "12", NEW))
    assert billed(world, JANUARY) == {"2022-01-01": 6700}


def test_a_plug_that_was_reset_says_since_when_it_counts(world: World) -> None:
    file = catalogue.load("sources: [{name: plugs, preset: tasmota}]", "f.yaml", sources=source_rules(Settings()))
    with world.database.transaction() as session:
        catalogue.apply(session, file, NOON)
        rules = Rules.of(Settings(), load(session))
        bodies = [
            {"Time": f"{day}T10:00:00", "ENERGY": {"TotalStartTime": word, "Total": total, "Power": 5}}
            for day, total, word in (("2022-01-02", 10, OLD), ("2022-01-14", 14.5, OLD), ("2022-01-16", 0.25, NEW))
        ]
        messages = [
            Message(topic="tele/IOT_1/SENSOR", payload=json.dumps(body).encode(), received_at=NOON) for body in bodies
        ]
        assert not apply_messages(session, messages, rules, now=NOON).refused
    reads(world, ("2022-01-20", "1", NEW))
    assert billed(world, JANUARY) == {"2022-01-01": 525}
