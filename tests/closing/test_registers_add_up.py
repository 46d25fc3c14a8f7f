"""Through the door, the database and the closes: whatever comes late, twice, or never, the invoices add up."""

import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import pytest

from billing.readings import held
from config.settings import Settings
from gateway.ingest import apply_messages
from gateway.message import Message, Rules
from gateway.sources.stored import load
from storage.database import Database
from tests.usecases.changing import SELLER, World, contract, plans

MODULUS = 1_000_000
"""A register of three digits, in thousandths."""
MOST = 25_000
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


def history(chance: random.Random) -> tuple[list[Told], int]:
    """What three registers, one after the other, told from January to June, and what they counted, in thousandths."""
    told: list[Told] = []
    counted, at = 0, datetime(2022, 1, 1, 12, tzinfo=UTC)
    for word in ("first", "second", "third"):
        total = chance.randrange(MODULUS)
        begin = total
        for _ in range(29):
            told.append(Told(at, total % MODULUS, word))
            counted += total - begin
            begin = total
            total += chance.randrange(MOST)
            at += timedelta(hours=chance.randrange(30, 60))
    return told, counted


@pytest.mark.parametrize("how", ["carried", "interpolated"])
@pytest.mark.parametrize("seed", [2, 5])
def test_the_invoices_add_up_to_last_minus_first_and_the_full_turns(database: Database, seed: int, how: str) -> None:
    chance = random.Random(seed)  # noqa: S311 - a history, no secret
    told, counted = history(chance)
    arrives: dict[int, list[Told]] = defaultdict(list)
    for n, it in enumerate(told):
        late = 0 if n == 0 else chance.choice([0, 0, 0, 1, 2])
        arrives[min(it.at.month - 1 + late, 6)] += [it] * chance.choice([1, 1, 2])
    metric = f"{{name: energy, unit: kWh, kind: cumulative, decimals: 3, register_width: 3, boundary: {how}}}"
    world = World(
        database,
        plans(P=[CHARGE]) + "contracts:\n" + contract("C", "P"),
        SELLER.replace("customers:", f"  - {metric}\ncustomers:"),
    )
    world.active("P", date(2022, 1, 1))
    billed = 0
    for place, until in enumerate(MONTHS):
        chance.shuffle(arrives[place])
        take(database, arrives[place])
        billed += sum(amount for *_, amount in world.bills(until))
    assert billed == counted * 100
    with database.snapshot() as session:
        assert held(session, NOW) == []


def take(database: Database, told: Sequence[Told]) -> None:
    with database.transaction() as session:
        rules = Rules.of(Settings(), load(session))
        assert not apply_messages(session, [it.message for it in told], rules, now=NOW).refused
