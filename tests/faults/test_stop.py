"""SIGTERM: what is in hand is stored, the rest stays with the broker, and the limit holds when a database hangs."""

import contextlib
import os
import signal
import sqlite3
from functools import partial
from pathlib import Path

import psycopg

from storage.database import Database
from tests import postgres
from tests.brokers import Broker, Peer, eventually
from tests.conftest import missing
from tests.faults.conftest import TOPIC, assert_exactly, count, sample
from tests.faults.gateway_process import Fault, gateway_process
from tests.faults.tap import Tap
from tests.faults.test_database_faults import prepared
from tests.ingest.conftest import REFERENCE

TOTAL = 2000
UNKEYED, STOPS, WINDOW = 20_000, 3, 4000
STOP_SECONDS = 2
SLACK_SECONDS = 15
"""For a loaded machine; without a limit, none of these processes would end at all, or in less than a minute."""


def more_than(database: Database, there: int) -> bool:
    return count(database) > there


def test_a_gateway_under_load_stops_in_peace(
    broker: Broker, tap: Tap, database: Database, database_url: str, tmp_path: Path
) -> None:
    settings = {"database_url": database_url, "broker_url": tap.url(), "batch_max": 50}
    with gateway_process(tmp_path / "log", **settings) as gateway, Peer(broker, REFERENCE) as thing:
        gateway.start(command=True)
        eventually(lambda: tap.listening, "the session stands")
        for number in range(TOTAL):
            thing.post(TOPIC, sample(number))
        eventually(lambda: count(database) > 0, "they flow")
        assert gateway.terminate(SLACK_SECONDS) == 0
        assert "Traceback" not in gateway.said()
        assert count(database) >= len(tap.acknowledged)
        eventually(lambda: thing.flushed(TOTAL), "the broker took everything")
        gateway.start(command=True)
        eventually(lambda: count(database) == TOTAL, "everything is recorded", seconds=20)
    assert_exactly(database, TOTAL)


def test_a_clean_stop_under_load_doubles_not_even_what_has_no_key(
    broker: Broker, database: Database, database_url: str, tmp_path: Path
) -> None:
    # What a stop finds in hand is stored: three windows must be less than all.
    settings = {"database_url": database_url, "broker_url": broker.url(), "batch_max": 100, "receive_window": WINDOW}
    unkeyed = '{"metrics": {"usage": 1}}'
    with gateway_process(tmp_path / "log", **settings) as gateway, Peer(broker, REFERENCE) as thing:
        gateway.start()
        eventually(lambda: "connected" in gateway.said(), "the session stands")
        assert gateway.terminate(SLACK_SECONDS) == 0
        for _ in range(UNKEYED):
            thing.post(TOPIC, unkeyed)
        eventually(lambda: thing.flushed(UNKEYED), "the broker took everything", seconds=20)
        for stop in range(STOPS):
            gateway.start(Fault(transaction_seconds=0.05))
            eventually(partial(more_than, database, count(database)), f"they flow before stop {stop}")
            assert gateway.terminate(SLACK_SECONDS) == 0
        assert count(database) < UNKEYED, "it was stopped in mid-flow"
        gateway.start()
        eventually(lambda: count(database) >= UNKEYED, "everything is recorded", seconds=20)
        gateway.terminate(SLACK_SECONDS)
    assert count(database) == UNKEYED, gateway.said()


def test_a_gateway_whose_sqlite_is_locked_stops_within_its_limit(
    broker: Broker, tap: Tap, sqlite_url: str, tmp_path: Path
) -> None:
    url = prepared(sqlite_url)
    settings = {"database_url": url, "broker_url": tap.url(), "stop_seconds": STOP_SECONDS}
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    with (
        contextlib.closing(other),
        gateway_process(tmp_path / "log", **settings) as gateway,
        Peer(broker, REFERENCE) as thing,
    ):
        gateway.start(command=True)
        eventually(lambda: tap.listening, "the session stands")
        other.execute("BEGIN EXCLUSIVE")
        thing.publish(TOPIC, sample(0))
        eventually(lambda: len(tap.conversations[-1].waiting) == 1, "it is in hand")
        assert gateway.terminate(STOP_SECONDS + SLACK_SECONDS) is not None
        assert tap.acknowledged == []
        other.execute("ROLLBACK")
        gateway.start(command=True)
        eventually(lambda: len(tap.acknowledged) == 1, "it comes again")
    database = Database(url)
    assert_exactly(database, 1)
    database.dispose()


def test_a_gateway_whose_postgresql_hangs_stops_within_its_limit(broker: Broker, tap: Tap, tmp_path: Path) -> None:
    if postgres.binaries() is None:
        missing("PostgreSQL", postgres.FIX)
    with postgres.cluster() as cluster:
        url = prepared(f"{cluster.url}/postgres")
        settings = {"database_url": url, "broker_url": tap.url(), "stop_seconds": STOP_SECONDS}
        with gateway_process(tmp_path / "log", **settings) as gateway, Peer(broker, REFERENCE) as thing:
            gateway.start(command=True)
            eventually(lambda: tap.listening, "the session stands")
            thing.publish(TOPIC, sample(0))
            eventually(lambda: len(tap.acknowledged) == 1, "all is well")
            with psycopg.connect(f"{cluster.url}/postgres") as connection:
                rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
                backends = [row[0] for row in rows if row[0] != connection.info.backend_pid]
            for backend in backends:
                os.kill(backend, signal.SIGSTOP)
            try:
                thing.publish(TOPIC, sample(1))
                eventually(lambda: len(tap.conversations[-1].waiting) == 1, "it is in hand")
                assert gateway.terminate(STOP_SECONDS + SLACK_SECONDS) == 1
            finally:
                for backend in backends:
                    os.kill(backend, signal.SIGCONT)
            assert f"not done within {STOP_SECONDS} s" in gateway.said()
            gateway.start(command=True)
            eventually(lambda: len(tap.acknowledged) == 2, "it comes again")
        database = Database(url)
        assert_exactly(database, 2)
        database.dispose()
