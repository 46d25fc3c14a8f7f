"""kill -9 of the gateway at every point between a message and its acknowledgement: none lost, none doubled."""

from pathlib import Path

import pytest

from storage.database import Database
from tests.brokers import Broker, Peer, eventually
from tests.faults.conftest import TOPIC, assert_exactly, count, ids, receivers, sample
from tests.faults.gateway_process import POINTS, Fault, gateway_process
from tests.faults.tap import Tap
from tests.ingest.conftest import REFERENCE

TOTAL = 300
KILLED = -9


@pytest.mark.parametrize("point", POINTS)
def test_killed_around_a_transaction(
    point: str, broker: Broker, tap: Tap, database: Database, database_url: str, tmp_path: Path
) -> None:
    with gateway_process(tmp_path / "log", database_url=database_url, broker_url=tap.url(), batch_max=50) as gateway:
        gateway.start()
        eventually(lambda: tap.listening, "the session stands")
        with Peer(broker, REFERENCE) as thing:
            gateway.kill()
            for number in range(TOTAL):
                thing.post(TOPIC, sample(number))
            eventually(lambda: thing.flushed(TOTAL), "the broker took everything")
            gateway.start(Fault(kill_at=point, nth=2))
            assert gateway.exitcode(20) == KILLED
            assert count(database) >= len(tap.acknowledged)
            gateway.start()
            eventually(lambda: count(database) == TOTAL, "everything is recorded", seconds=20)
            eventually(lambda: len(tap.acknowledged) >= TOTAL, "everything is acknowledged")
    assert_exactly(database, TOTAL)


@receivers
@pytest.mark.parametrize("passed", [0, 20])
def test_killed_between_the_commit_and_the_acknowledgement(
    passed: int, receiver: str, broker: Broker, tap: Tap, database: Database, database_url: str, tmp_path: Path
) -> None:
    settings = {"database_url": database_url, "broker_url": tap.url(), "batch_max": 50, "receiver": receiver}
    with gateway_process(tmp_path / "log", **settings) as gateway:
        seen: list[bytes] = []

        def kill(payloads: list[bytes]) -> bool:
            seen.extend(payloads)
            if len(seen) > passed:
                gateway.process.kill()
                return False
            return True

        tap.before_ack = kill
        gateway.start()
        with Peer(broker, REFERENCE) as thing:
            eventually(lambda: tap.listening, "the session stands")
            for number in range(TOTAL):
                thing.post(TOPIC, sample(number))
            assert gateway.exitcode(20) == KILLED
            assert count(database) >= len(seen)
            tap.before_ack = lambda _payloads: True
            gateway.start()
            eventually(lambda: count(database) == TOTAL, "everything is recorded", seconds=20)
    assert_exactly(database, TOTAL)


@receivers
def test_what_is_acknowledged_is_committed_already(
    receiver: str, broker: Broker, tap: Tap, database: Database, database_url: str, tmp_path: Path
) -> None:
    early: list[bytes] = []

    def judge(payloads: list[bytes]) -> bool:
        committed = ids(database)
        early.extend(payload for payload in payloads if payload.split(b'"')[3].decode() not in committed)
        return True

    tap.before_ack = judge
    with (
        gateway_process(
            tmp_path / "log", database_url=database_url, broker_url=tap.url(), receiver=receiver
        ) as gateway,
        Peer(broker, REFERENCE) as thing,
    ):
        gateway.start()
        eventually(lambda: tap.listening, "the session stands")
        for number in range(TOTAL):
            thing.post(TOPIC, sample(number))
        eventually(lambda: len(tap.acknowledged) == TOTAL, "everything is acknowledged", seconds=20)
    assert early == []
    assert_exactly(database, TOTAL)
