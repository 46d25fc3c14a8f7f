"""Through the door, the database and the closes: whatever comes late, twice, or never, the invoices add up."""

import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest

from billing.readings import held
from config.settings import Settings
from gateway.ingest import apply_messages
from gateway.message import Message, Rules
from gateway.sources.stored import load
from storage.database import Database
from storage.registers import boundaries_of
from tests.usecases.changing import SELLER, World, contract, plans

MODULUS = 1_000_000
"""A register of three digits, in thousandths."""
MOST = 25_000
"""A register rises by less from one reading to the next: with two that are lost a full turn is still seen."""
LOST, GLITCHES = 0.1, 0.1
PARIS = ZoneInfo("Europe/Paris")
MONTHS = [date(2022, month, last) for month, last in ((1, 31), (2, 28), (3, 31), (4, 30), (5, 31), (6, 30), (7, 31))]
NOW = datetime(2022, 9, 1, tzinfo=UTC)
CHARGE = (
    '{name: Energy, type: usage, vat_rate: "20", calculator: '
    '{metric: energy, price: {model: per_unit, unit_price: "1000"}}}'
)


class Told(NamedTuple):
    at: datetime
    quantity: int
    word: str

    @property
    def message(self) -> Message:
        reading = f"{self.quantity // 1000}.{self.quantity % 1000:03}"
        body = (
            f'{{"ts": "{self.at.isoformat()}", "metrics": {{"energy": {reading}}}, '
            f'"properties": {{"register": "{self.word}"}}}}'
        )
        return Message(topic="devices/IOT_1/telemetry", payload=body.encode(), received_at=NOW)


class Counted(NamedTuple):
    """What a register counted over all its turns when it was read, in thousandths; `register` is its place."""

    told: Told
    register: int
    total: int


def history(chance: random.Random) -> tuple[list[Told], list[Counted]]:
    """What registers told from January to June, one after the other, the first one put in twice; and what is true.

    Some readings are lost, some months may be silent, and a zero now and then is a glitch.
    """
    told: list[Told] = []
    counted: list[Counted] = []
    at = datetime(2022, 1, 1, 12, tzinfo=UTC) + timedelta(hours=chance.randrange(400))
    for register, word in enumerate(chance.choice(["A", "ABA", "ABAC", "ABC"])):
        total = chance.choice([0, chance.randrange(MODULUS), MODULUS - chance.randrange(1, 50_000)])
        for _ in range(chance.randrange(3, 30)):
            if chance.random() > LOST:
                told.append(Told(at, total % MODULUS, word))
                counted.append(Counted(told[-1], register, total))
                if MODULUS // 5 < total % MODULUS < MODULUS * 4 // 5 and chance.random() < GLITCHES:
                    told.append(Told(at + timedelta(minutes=1), 0, word))
            total += chance.choice([0, chance.randrange(MOST)])
            at += timedelta(hours=chance.randrange(1, 75))
    return told, counted


def used(counted: Sequence[Counted]) -> int:
    """The last reading of each register less its first."""
    totals: dict[int, list[int]] = defaultdict(list)
    for it in counted:
        totals[it.register].append(it.total)
    return sum(max(each) - min(each) for each in totals.values())


@pytest.mark.parametrize("how", ["carried", "interpolated"])
@pytest.mark.parametrize("seed", range(6))
def test_the_invoices_add_up_to_last_minus_first_and_the_full_turns(
    sqlite_database: Database, seed: int, how: str
) -> None:
    add_up(sqlite_database, random.Random(seed), how)  # noqa: S311 - a history, no secret


@pytest.mark.parametrize("seed", [6, 7])
def test_on_both_databases_they_add_up(database: Database, seed: int) -> None:
    add_up(database, random.Random(seed), "carried")  # noqa: S311 - a history, no secret


def add_up(database: Database, chance: random.Random, how: str) -> None:
    told, counted = history(chance)
    arrives: dict[int, list[Told]] = defaultdict(list)
    for it in told:
        late = chance.choice([0, 0, 0, 1, 2])
        arrives[min(it.at.month - 1 + late, 6)] += [it] * chance.choice([1, 1, 2])
    metric = f"{{name: energy, unit: kWh, kind: cumulative, decimals: 3, register_width: 3, boundary: {how}}}"
    world = World(
        database,
        plans(P=[CHARGE]) + "contracts:\n" + contract("C", "P"),
        SELLER.replace("customers:", f"  - {metric}\ncustomers:"),
    )
    world.active("P", date(2022, 1, 1))
    billed, arrived = 0, set[Told]()
    for place, until in enumerate(MONTHS):
        chance.shuffle(arrives[place])
        half = chance.randrange(len(arrives[place]) + 1)
        take(database, arrives[place][:half])
        take(database, arrives[place][half:])
        arrived |= set(arrives[place])
        billed += sum(amount for *_, amount in world.bills(until))
        assert billed == 100 * kept(database)
        midnight = datetime(until.year, until.month, until.day, tzinfo=PARIS) + timedelta(days=1)
        read = [it for it in counted if it.told in arrived and it.told.at < midnight]
        with database.snapshot() as session:
            waiting = held(session, midnight.astimezone(UTC))
        assert how == "interpolated" or waiting or billed == 100 * used(read)
    assert billed == 100 * used(counted)
    with database.snapshot() as session:
        assert held(session, NOW) == []


def kept(database: Database) -> int:
    """What the kept values of the register rose; each is at least what the one before is."""
    with database.snapshot() as session:
        values = [it.quantity for it in boundaries_of(session, 1, 2)]
    assert values == sorted(values)
    return values[-1] - values[0] if values else 0


def take(database: Database, told: Sequence[Told]) -> None:
    with database.transaction() as session:
        rules = Rules.of(Settings(), load(session))
        assert not apply_messages(session, [it.message for it in told], rules, now=NOW).refused
