"""100,000 messages arrive while the gateway is away: the shipped configuration keeps them, the defaults do not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.database import Database
from tests.brokers import Broker, eventually
from tests.faults.conftest import TOPIC, assert_exactly, count, ids, sample
from tests.faults.flood import flood
from tests.faults.gateway_process import gateway_process
from tests.faults.tap import tapped
from tests.ingest.conftest import REFERENCE

TOTAL = 100_000
SHIPPED = ("max_queued_messages", "max_inflight_messages", "queue_qos0_messages", "upgrade_outgoing_qos")
"""What mosquitto.conf says about waiting messages, and a broker by default does not."""


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The broker's configuration is what is proved here."""
    return sqlite_url


def mixed(total: int) -> Iterator[tuple[str, str, int]]:
    """Every other message at QoS 0."""
    for number in range(total):
        yield TOPIC, sample(number), number % 2


def publish_to_absent_gateway(broker: Broker, database_url: str, log: Path, *, total: int) -> None:
    """Establish the session, take the gateway away, and publish."""
    with (
        tapped(broker.port) as tap,
        gateway_process(log, database_url=database_url, broker_url=tap.url()) as gateway,
    ):
        gateway.start()
        eventually(lambda: tap.listening, "the session stands")
    flood(broker.port, REFERENCE, mixed(total))


def test_all_are_there_with_the_shipped_configuration(
    broker: Broker, database: Database, database_url: str, tmp_path: Path
) -> None:
    publish_to_absent_gateway(broker, database_url, tmp_path / "log", total=TOTAL)
    with gateway_process(tmp_path / "log", database_url=database_url, broker_url=broker.url()) as gateway:
        gateway.start()
        eventually(lambda: count(database) == TOTAL, "all are recorded", seconds=120)
    assert_exactly(database, TOTAL)


def test_the_same_loses_with_the_defaults_of_mosquitto(
    broker: Broker, database: Database, database_url: str, tmp_path: Path
) -> None:
    broker.stop()
    shipped = (broker.folder / "mosquitto.conf").read_text().splitlines()
    kept = [line for line in shipped if not line.startswith(SHIPPED)]
    assert len(kept) == len(shipped) - len(SHIPPED)
    (broker.folder / "mosquitto.conf").write_text("\n".join(kept) + "\n")
    broker.start()
    publish_to_absent_gateway(broker, database_url, tmp_path / "log", total=TOTAL)
    with gateway_process(tmp_path / "log", database_url=database_url, broker_url=broker.url()) as gateway:
        gateway.start()
        # It comes after all that waited, so what is not there when it is there is lost.
        eventually(lambda: "the kept session" in gateway.said(), "the session stands again")
        flood(broker.port, REFERENCE, [(TOPIC, sample(TOTAL), 1)])
        eventually(lambda: str(TOTAL) in ids(database), "the last one is recorded", seconds=60)
    assert 0 < count(database) <= 2000
