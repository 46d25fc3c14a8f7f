"""kill -9 of the broker: what it had written is delivered once, and a register stays exact whatever was lost."""

import json
from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest

from storage.database import Database
from tests import brokers
from tests.brokers import Broker, Peer, eventually
from tests.closing.fleet import Fleet
from tests.conftest import missing
from tests.faults.conftest import TOPIC, assert_exactly, count, ids, sample
from tests.faults.gateway_process import gateway_process
from tests.faults.tap import tapped
from tests.ingest.conftest import REFERENCE

TOTAL = 500


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The broker is what is proved here."""
    return sqlite_url


def kill(broker: Broker) -> None:
    assert broker.process is not None
    broker.process.kill()
    broker.process.wait()


def test_what_the_broker_had_written_survives_it(
    broker: Broker, database: Database, database_url: str, tmp_path: Path
) -> None:
    written = broker.folder / "mosquitto.db"
    with gateway_process(tmp_path / "log", database_url=database_url, broker_url=broker.url()) as gateway:
        gateway.start()
        eventually(lambda: "the gateway" in gateway.said() or "connected" in gateway.said(), "the session stands")
        with Peer(broker, REFERENCE) as thing:
            thing.publish(TOPIC, sample(0))
            eventually(lambda: count(database) == 1, "the subscription stands")
            gateway.kill()
            for number in range(1, TOTAL):
                thing.post(TOPIC, sample(number))
            eventually(lambda: thing.flushed(TOTAL), "the broker took everything")
        done = written.stat().st_mtime_ns if written.exists() else 0
        # Twice: the first one may have begun before the last message.
        for _ in range(2):
            eventually(lambda done=done: written.exists() and written.stat().st_mtime_ns > done, "the broker writes")
            done = written.stat().st_mtime_ns
        kill(broker)
        broker.start()
        gateway.start()
        eventually(lambda: count(database) == TOTAL, "everything is recorded", seconds=20)
    assert_exactly(database, TOTAL)


@pytest.fixture
def metered(database_url: str) -> Iterator[Fleet]:
    """One object with a register, on a contract."""
    database = Database(database_url)
    database.migrate()
    fleet = Fleet(database, kind="cumulative")
    fleet.activate(REFERENCE)
    yield fleet
    database.dispose()


def test_a_register_is_exact_after_the_broker_was_killed_in_full_flow(
    tmp_path: Path, metered: Fleet, database_url: str
) -> None:
    if brokers.binaries() is None:
        missing("Mosquitto", brokers.FIX)
    folder = tmp_path / "broker"
    folder.mkdir()

    def reading(number: int) -> str:
        at = f"2022-04-{1 + number // 100:02d}T10:{number % 60:02d}:{number % 100 // 60:02d}Z"
        return json.dumps({"id": str(number), "ts": at, "metrics": {"usage": 1000 + number}})

    with (
        brokers.mosquitto(folder, users=(REFERENCE,)) as broker,
        tapped(broker.port) as tap,
        gateway_process(tmp_path / "log", database_url=database_url, broker_url=tap.url()) as gateway,
    ):
        gateway.start()
        eventually(lambda: tap.listening, "the session stands")
        with Peer(broker, REFERENCE) as thing:
            thing.publish(TOPIC, reading(0))
            eventually(lambda: count(metered.database) == 1, "the first reading is recorded")
            for number in range(1, 1000):
                thing.post(TOPIC, reading(number))
            eventually(lambda: count(metered.database) >= 100, "they flow")
            kill(broker)
        broker.start()
        eventually(lambda: len(tap.conversations) >= 2 and tap.listening, "the gateway is back", seconds=20)
        with Peer(broker, REFERENCE) as thing:
            for number in range(1000, 1100):
                thing.post(TOPIC, reading(number))
            eventually(lambda: "1099" in ids(metered.database), "the last reading is recorded", seconds=20)
        assert tap.violations == []
    (invoice,) = metered.close(date(2022, 4, 30)).invoices
    assert [line.quantity for line in invoice.lines] == [Fraction(1099)]
