"""A broker with its tap, a seeded database, and the words of these tests: publish, recorded, exact."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func
from sqlmodel import select

from storage import overview, quarantine, usage
from storage.database import Database
from storage.tables import UsageRecord
from tests import brokers
from tests.brokers import Broker
from tests.conftest import missing
from tests.faults.tap import Tap, tapped
from tests.ingest.conftest import REFERENCE, seed

TOPIC = f"devices/{REFERENCE}/telemetry"
receivers = pytest.mark.parametrize("receiver", ["native", "paho"])
"""Both clients: what lies between the commit and the acknowledgement is theirs."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    if brokers.binaries() is None:
        missing("Mosquitto", brokers.FIX)
    folder = tmp_path / "broker"
    folder.mkdir()
    with brokers.mosquitto(folder, users=(REFERENCE,)) as running:
        yield running


@pytest.fixture
def tap(broker: Broker) -> Iterator[Tap]:
    with tapped(broker.port) as it:
        yield it
        assert it.violations == []


@pytest.fixture
def database(database: Database) -> Database:
    seed(database)
    return database


def sample(identity: int) -> str:
    """A usage whose quantity is its number: a sum tells what is missing and what is there twice."""
    return json.dumps({"id": str(identity), "metrics": {"usage": identity}})


def count(database: Database) -> int:
    """How many records there are, from the rollup, which is written with them: it may be asked often."""
    with database.snapshot() as session:
        return overview.usage_record_count(session)


def ids(database: Database) -> set[str]:
    with database.snapshot() as session:
        return set(session.exec(select(UsageRecord.discriminator)))


def assert_exactly(database: Database, total: int) -> None:
    """The samples 0 to `total` - 1 are recorded, each once, and the rollup is what they add up to."""
    with database.snapshot() as session:
        found = session.exec(select(func.count(), func.sum(UsageRecord.quantity)).select_from(UsageRecord)).one()
        assert tuple(found) == (total, sum(range(total)) * 10**6)
        assert usage.rollup_differences(session) == []
        assert quarantine.counts(session) == {}
