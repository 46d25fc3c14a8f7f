"""The broker comes back without the session that it kept: what it forgot is not acknowledged, the gap is recorded."""

import contextlib
import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.main import cli
from storage import gaps
from storage.database import Database
from storage.tables import ReceptionGap
from tests.brokers import Broker, Peer, eventually
from tests.faults.conftest import TOPIC, ids, receivers, sample
from tests.faults.gateway_process import Fault, gateway_process
from tests.faults.tap import Tap
from tests.ingest.conftest import REFERENCE


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The gap's table is proved on both databases beside the storage."""
    return sqlite_url


def lose_everything(broker: Broker) -> None:
    """kill -9, and what it had written is gone too."""
    assert broker.process is not None
    broker.process.kill()
    broker.process.wait()
    (broker.folder / "mosquitto.db").unlink(missing_ok=True)
    broker.start()


def recorded(database: Database) -> list[ReceptionGap]:
    with database.snapshot() as session:
        return [each.gap for each in gaps.listed(session)]


@receivers
def test_forgotten_packet_ids_are_not_acknowledged_and_the_gap_is_recorded(
    receiver: str,
    broker: Broker,
    tap: Tap,
    database: Database,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = {"database_url": database_url, "broker_url": tap.url(), "receiver": receiver}
    other = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)
    with (
        contextlib.closing(other),
        gateway_process(tmp_path / "log", **settings) as gateway,
    ):
        gateway.start(Fault(busy_timeout_ms=50))
        eventually(lambda: tap.listening, "the session stands")
        with Peer(broker, REFERENCE) as thing:
            thing.publish(TOPIC, sample(0))
            eventually(lambda: len(tap.acknowledged) == 1, "all is well before")
            locked_at = datetime.now(UTC)
            other.execute("BEGIN EXCLUSIVE")
            for number in range(1, 31):
                thing.publish(TOPIC, sample(number))
            eventually(lambda: len(tap.conversations[-1].waiting) == 30, "the gateway has them in hand")
        lose_everything(broker)
        other.execute("ROLLBACK")
        eventually(lambda: len(tap.conversations) == 2 and tap.listening, "a new session stands", seconds=20)
        with Peer(broker, REFERENCE) as thing:
            for number in range(100, 140):
                thing.publish(TOPIC, sample(number))
            eventually(lambda: len(tap.acknowledged) == 41, "what is new is acknowledged, under packet ids used before")
        assert {str(number) for number in (0, *range(100, 140))} <= ids(database)
        eventually(lambda: recorded(database), "the gap is recorded")
        (gap,) = recorded(database)
        assert gap.ends_at is not None
        assert gap.starts_at <= locked_at <= gap.ends_at <= datetime.now(UTC), "what was not stored yet is in it"
    monkeypatch.setenv("METERGATE_DATABASE_URL", database_url)
    shown = json.loads(CliRunner().invoke(cli, ["gaps", "list", "--json"]).stdout)
    assert [(row["reason"], row["client_id"]) for row in shown] == [("session_lost", "metergate")]
    doctor = json.loads(CliRunner().invoke(cli, ["doctor", "--json"]).stdout)
    assert [row["state"] for row in doctor if row["check"] == "reception gaps"] == ["look"]


def test_a_session_lost_while_the_gateway_was_away_is_a_gap_too(
    broker: Broker, database: Database, database_url: str, tmp_path: Path
) -> None:
    with gateway_process(tmp_path / "log", database_url=database_url, broker_url=broker.url()) as gateway:
        gateway.start()
        eventually(lambda: "connected" in gateway.said(), "the session stands")
        assert gateway.terminate(20) == 0, gateway.said()
        ended_at = datetime.now(UTC)
        gateway.start()
        eventually(lambda: "the kept session" in gateway.said(), "the session stands again")
        gateway.kill()
        assert recorded(database) == []
        lose_everything(broker)
        gateway.start()
        eventually(lambda: recorded(database), "the gap is recorded")
    (gap,) = recorded(database)
    assert gap.ends_at is not None
    assert gap.starts_at <= gap.ends_at
    assert gap.ends_at > ended_at
