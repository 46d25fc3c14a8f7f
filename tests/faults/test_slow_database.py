"""Writing that is slower than the keepalive: the connection stands, and nothing is received twice."""

from pathlib import Path

import pytest

from storage.database import Database
from tests.brokers import Broker, Peer, eventually
from tests.faults.conftest import TOPIC, assert_exactly, receivers, sample
from tests.faults.gateway_process import Fault, gateway_process
from tests.faults.tap import Tap
from tests.ingest.conftest import REFERENCE

TOTAL = 120


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The network is what is proved here."""
    return sqlite_url


@receivers
def test_a_transaction_longer_than_the_keepalive_does_not_end_the_connection(
    receiver: str, broker: Broker, tap: Tap, database: Database, database_url: str, tmp_path: Path
) -> None:
    delivered: list[bytes] = []
    settings = {"database_url": database_url, "broker_url": tap.url(), "receiver": receiver}
    with (
        gateway_process(tmp_path / "log", **settings, keepalive_seconds=1, batch_max=50) as gateway,
        Peer(broker, REFERENCE) as thing,
    ):
        gateway.start(Fault(transaction_seconds=2.5))  # the broker gives up after 1.5
        eventually(lambda: tap.listening, "the session stands")
        for number in range(TOTAL):
            thing.post(TOPIC, sample(number))
        eventually(lambda: len(tap.acknowledged) == TOTAL, "everything is acknowledged", seconds=40)
        delivered += tap.acknowledged
        assert tap.pings >= 3
        assert len(tap.conversations) == 1
    assert len(delivered) == len(set(delivered))
    assert_exactly(database, TOTAL)
