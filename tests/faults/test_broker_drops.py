"""What the broker had no room for is gone; that it is gone is known."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import select

from storage import gaps
from storage.database import Database
from storage.tables import BrokerSession, ReceptionGap
from tests.brokers import Broker, Peer, eventually
from tests.faults.conftest import TOPIC, ids, sample
from tests.faults.gateway_process import gateway_process
from tests.ingest.conftest import REFERENCE

ROOM = 10


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The gap's table is proved on both databases beside the storage."""
    return sqlite_url


def recorded(database: Database) -> list[ReceptionGap]:
    with database.snapshot() as session:
        return [each.gap for each in gaps.listed(session)]


@pytest.mark.parametrize("receiver", ["native", "paho"])
def test_messages_that_the_broker_drops_are_a_gap(
    receiver: str,
    broker: Broker,
    database: Database,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("METERGATE_RECEIVER", receiver)
    broker.stop()
    conf = broker.folder / "mosquitto.conf"
    said = conf.read_text().replace("sys_interval 10", "sys_interval 1")
    conf.write_text(said.replace("max_queued_messages 10000000", f"max_queued_messages {ROOM}"))
    broker.start()
    with gateway_process(tmp_path / "log", database_url=database_url, broker_url=broker.url()) as gateway:
        gateway.start()
        with Peer(broker, REFERENCE) as thing:
            eventually(lambda: "connected" in gateway.said(), "the session stands")
            thing.publish(TOPIC, sample(0))
            eventually(lambda: ids(database) == {"0"}, "it is stored")
            eventually(lambda: known_drops(database) == 0, "the broker has said that it dropped nothing yet")
            assert gateway.terminate(20) == 0, gateway.said()
            left_at = datetime.now(UTC)
            for number in range(1, 101):
                thing.publish(TOPIC, sample(number))
        gateway.start()
        eventually(lambda: recorded(database), "the gap is recorded")
        (gap,) = recorded(database)
        eventually(lambda: len(ids(database)) > 1, "what had room is delivered")
    assert gap.reason == "broker_drops"
    assert gap.ends_at is not None
    assert gap.starts_at <= left_at <= gap.ends_at
    assert gap.lost is not None
    assert 0 < gap.lost <= 100
    assert len(ids(database)) < 100


def known_drops(database: Database) -> int | None:
    with database.snapshot() as session:
        found = session.exec(select(BrokerSession)).first()
        return None if found is None else found.dropped
