"""Two gateways under one client id throw each other out: nothing is lost or doubled, and the log says what to do."""

from pathlib import Path

from storage.database import Database
from tests.brokers import Broker, Peer, eventually
from tests.faults.conftest import TOPIC, assert_exactly, count, receivers, sample
from tests.faults.gateway_process import gateway_process
from tests.faults.tap import Tap
from tests.ingest.conftest import REFERENCE

TOTAL = 400


@receivers
def test_two_gateways_with_one_client_id_lose_and_double_nothing(
    receiver: str, broker: Broker, tap: Tap, database: Database, database_url: str, tmp_path: Path
) -> None:
    settings = {"database_url": database_url, "broker_url": tap.url(), "receive_window": 20, "receiver": receiver}
    with (
        gateway_process(tmp_path / "one", **settings) as one,
        gateway_process(tmp_path / "two", **settings) as two,
        Peer(broker, REFERENCE) as thing,
    ):
        one.start()
        eventually(lambda: tap.listening, "the first has the session")
        two.start()
        for number in range(TOTAL):
            thing.publish(TOPIC, sample(number))
        eventually(lambda: len(tap.conversations) >= 2, "the second takes the session over")
        eventually(lambda: count(database) == TOTAL, "everything is recorded", seconds=40)
        eventually(lambda: "does another one use" in one.said() + two.said(), "the log says so", seconds=30)
        assert "connecting again in 30.0 s" in one.said() + two.said(), "and it leaves the session to the other"
    assert_exactly(database, TOTAL)
