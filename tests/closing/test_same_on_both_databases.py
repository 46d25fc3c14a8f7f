"""The same history gives the same invoices, whatever the database and however the messages arrive."""

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from billing import catalogue, registry
from billing import close as closing
from billing.core.errors import BillingError
from config.settings import Settings
from gateway.demo_data import CATALOGUE
from gateway.ingest import ingest_batch
from gateway.message import Message, Rules
from storage.database import Database
from storage.invoices import InvoiceDocument

START = datetime(2022, 4, 1, tzinfo=UTC)
OBJECTS = 12
SEEDS = range(12)


def history(seed: int) -> list[list[Message]]:
    """Three months of messages, each list sent before the close of its month: some late, some twice, shuffled."""
    chance = random.Random(seed)  # noqa: S311 - a seed that is printed is the point
    sent: list[list[Message]] = [[], [], []]
    for index in range(OBJECTS):
        tracker = index % 2 == 0
        register = 0
        for _ in range(chance.randrange(12)):
            minutes = chance.randrange(60 * 24 * 90)
            at = START + timedelta(minutes=minutes) - timedelta(hours=2)
            register += chance.randrange(0, 200)
            metric, value = ("usage", chance.randrange(0, 10**7)) if tracker else ("energy", register)
            body = f'{{"ts": "{at.isoformat()}", "metrics": {{"{metric}": {value}.{chance.randrange(1000):03d}}}}}'
            month = min(2, max(0, at.month - 4) + chance.choice([0, 0, 0, 1]))
            message = Message(
                topic=f"devices/OBJECT_{index:02d}/telemetry", payload=body.encode(), received_at=at + timedelta(days=1)
            )
            sent[month] += [message] * chance.choice([1, 1, 2])
    for messages in sent:
        chance.shuffle(messages)
    return sent


def invoices_of(database: Database, seed: int, *, batch: int) -> list[InvoiceDocument]:
    now = datetime(2022, 3, 1, tzinfo=UTC)
    chance = random.Random(seed)  # noqa: S311 - as above
    with database.transaction() as session:
        catalogue.apply(session, catalogue.load(CATALOGUE, "demo.yaml"), now)
        outcomes = registry.create_objects(
            session,
            [
                registry.NewObject(
                    reference=f"OBJECT_{index:02d}",
                    attributes={"site": chance.choice(["Lyon", "Nantes"])},
                    customer="FLEET" if index % 2 == 0 else "CITY",
                    contract="IOT Fleet Contract" if index % 2 == 0 else "Town Chargers",
                    subscription="Premium Fleet Subscription" if index % 2 == 0 else "Charger Subscription",
                    activate=True,
                    starts_on=date(2022, 4, 1) + timedelta(days=chance.randrange(45)),
                )
                for index in range(OBJECTS)
            ],
            status="pending",
            now=now,
            origin="import",
        )
        assert not [outcome for outcome in outcomes if isinstance(outcome, BillingError)]
    issued: list[InvoiceDocument] = []
    rules = Rules.of(Settings())
    for month, messages in enumerate(history(seed)):
        now = datetime(2022, 5 + month, 2, tzinfo=UTC)
        for start in range(0, len(messages), batch):
            ingest_batch(database, messages[start : start + batch], rules, now=now)
        report = closing.close(database, now.date() - timedelta(days=2), now)
        assert report.failures == ()
        issued += report.invoices
    return issued


def without_ids(documents: list[InvoiceDocument]) -> list[str]:
    """What a reader sees; the ids of rows are the database's own business."""
    return [
        repr((it.number, it.gross_minor, [(line.label, line.quantity, line.net_minor) for line in it.lines], it.vat))
        for it in documents
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_history_gives_the_same_invoices(both: list[Database], seed: int) -> None:
    sqlite, postgresql = both
    first = invoices_of(sqlite, seed, batch=1000)
    second = invoices_of(postgresql, seed, batch=7)
    assert first
    assert without_ids(first) == without_ids(second)
