"""The database goes away under a running gateway: nothing is acknowledged, memory stays bounded, nothing is lost."""

import contextlib
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psycopg
import pytest

from storage.database import Database
from tests import postgres
from tests.brokers import Broker, Peer, eventually
from tests.conftest import missing
from tests.faults.conftest import TOPIC, assert_exactly, sample
from tests.faults.gateway_process import Fault, GatewayProcess, gateway_process
from tests.faults.tap import Tap
from tests.ingest.conftest import REFERENCE, seed

BEFORE, DURING = 100, 4000
TOTAL = BEFORE + DURING
WINDOW = 500
"""Far fewer than arrive during the fault: the rest has to stay with the broker."""
KEEPALIVE_SECONDS = 3
MEMORY_KIB = 20_000
"""What a gateway may grow by while it waits: a window of messages and the libraries' own buffers."""
QUIET_SECONDS = 0.5
"""After which a gateway that has just begun writes nothing of its own."""
WAITS = "wait for the database"


def outlives(
    gateway: GatewayProcess,
    tap: Tap,
    thing: Peer,
    *,
    breaks: Callable[[], object],
    mends: Callable[[], object],
    database: Callable[[], Database],
    fault: Fault | None = None,
    room: int = 0,
    seconds: float = 0,
) -> None:
    """Messages before, during and after a fault: none is acknowledged meanwhile, and afterwards all are there.

    `room` is how many may still find a place on a disk that is full for the next ones; it lasts `seconds` at least.
    """
    gateway.start(fault)
    eventually(lambda: tap.listening, "the session stands")
    for number in range(BEFORE):
        thing.post(TOPIC, sample(number))
    eventually(lambda: len(tap.acknowledged) == BEFORE, "all is well before the fault")
    memory = gateway.memory_kib()
    broken_at = time.monotonic()
    breaks()
    try:
        for number in range(BEFORE, TOTAL):
            thing.post(TOPIC, sample(number))
        eventually(lambda: thing.flushed(TOTAL), "the broker took everything", seconds=20)
        eventually(lambda: gateway.said().count(WAITS) >= 3, "it tries again and again", seconds=20)
        pings, settled = tap.pings, len(tap.acknowledged)
        assert BEFORE <= settled <= BEFORE + room
        eventually(lambda: tap.pings >= pings + 2, "the connection is kept alive meanwhile")
        time.sleep(max(0, broken_at + seconds - time.monotonic()))
        assert len(tap.acknowledged) == settled
        # Mosquitto 2.0.11 now and then sends several times what the client said that it takes; our memory is our bound.
        assert WINDOW <= len(tap.conversations[-1].waiting) <= DURING
        assert gateway.memory_kib(peak=True) < memory + MEMORY_KIB
    finally:
        mends()
    eventually(lambda: len(tap.acknowledged) == TOTAL, "everything is acknowledged", seconds=30)
    assert len(tap.conversations) == 1, "the connection stood all the time"
    judge = database()
    assert_exactly(judge, TOTAL)
    judge.dispose()


@contextmanager
def waiting_gateway(tap: Tap, url: str, log: Path, **settings: str) -> Iterator[GatewayProcess]:
    own = {"receive_window": WINDOW, "keepalive_seconds": KEEPALIVE_SECONDS}
    with gateway_process(log, database_url=url, broker_url=tap.url(), **own, **settings) as it:
        yield it


@pytest.fixture
def sqlite_prepared(sqlite_url: str) -> str:
    return prepared(sqlite_url)


def prepared(url: str) -> str:
    database = Database(url)
    database.migrate()
    seed(database)
    database.dispose()
    return url


@pytest.fixture
def cluster() -> Iterator[postgres.Cluster]:
    """A PostgreSQL of one's own, to be taken down."""
    if postgres.binaries() is None:
        missing("PostgreSQL", postgres.FIX)
    with postgres.cluster() as it:
        yield it


@pytest.mark.parametrize("mode, receiver", [("fast", "native"), ("immediate", "paho")])
def test_postgresql_goes_down_for_a_minute_and_comes_back(
    mode: str, receiver: str, broker: Broker, tap: Tap, cluster: postgres.Cluster, tmp_path: Path
) -> None:
    """`fast` lets clients go, `immediate` is a crash, from which the server recovers when it starts."""
    url = prepared(f"{cluster.url}/postgres")
    with waiting_gateway(tap, url, tmp_path / "log", receiver=receiver) as gateway, Peer(broker, REFERENCE) as thing:
        outlives(
            gateway,
            tap,
            thing,
            breaks=lambda: cluster.stop(mode),
            mends=cluster.start,
            database=lambda: Database(url),
            seconds=60,
        )


def test_sqlite_is_locked_for_longer_than_a_writer_waits(
    broker: Broker, tap: Tap, sqlite_prepared: str, tmp_path: Path
) -> None:
    other = sqlite3.connect(sqlite_prepared.removeprefix("sqlite:///"), isolation_level=None)
    with (
        contextlib.closing(other),
        waiting_gateway(tap, sqlite_prepared, tmp_path / "log") as gateway,
        Peer(broker, REFERENCE) as thing,
    ):
        outlives(
            gateway,
            tap,
            thing,
            breaks=lambda: other.execute("BEGIN EXCLUSIVE"),
            mends=lambda: other.execute("ROLLBACK"),
            database=lambda: Database(sqlite_prepared),
            fault=Fault(busy_timeout_ms=100),
        )


@dataclass
class SmallDisk:
    """A file system of a few megabytes that can be filled to the last byte."""

    folder: Path

    def fill(self) -> None:
        with (self.folder / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while True:
                ballast.write(bytes(4096))

    def free(self) -> None:
        (self.folder / "ballast").unlink()

    def remount(self, mode: Literal["ro", "rw"]) -> None:
        """Root may write a file whose mode forbids it, so the whole file system is made read-only."""
        subprocess.run(["mount", "-o", f"remount,{mode}", str(self.folder)], check=True, capture_output=True)


@pytest.fixture
def small_disk() -> Iterator[SmallDisk]:
    folder = Path(tempfile.mkdtemp(prefix="metergate-disk-"))
    command = ["mount", "-t", "tmpfs", "-o", "size=64m,mode=755", "none", str(folder)]
    mounted = shutil.which("mount") and subprocess.run(command, check=False, capture_output=True).returncode == 0
    try:
        if not mounted:
            missing("a small disk to fill", "Run the tests as root, who may mount one.")
        yield SmallDisk(folder)
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def test_the_disk_under_sqlite_is_full(broker: Broker, tap: Tap, small_disk: SmallDisk, tmp_path: Path) -> None:
    url = prepared(f"sqlite:///{small_disk.folder}/metergate.db")
    with waiting_gateway(tap, url, tmp_path / "log") as gateway, Peer(broker, REFERENCE) as thing:
        outlives(
            gateway,
            tap,
            thing,
            breaks=small_disk.fill,
            mends=small_disk.free,
            database=lambda: Database(url),
            room=2 * WINDOW,
        )
        assert "full" in gateway.said()


def test_the_disk_under_postgresql_is_full(
    broker: Broker, tap: Tap, small_disk: SmallDisk, cluster: postgres.Cluster, tmp_path: Path
) -> None:
    space = small_disk.folder / "space"
    space.mkdir()
    if cluster.user:
        shutil.chown(space, cluster.user)
    with psycopg.connect(f"{cluster.url}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE TABLESPACE small LOCATION '{space}'".encode())
        connection.execute("CREATE DATABASE crowded TABLESPACE small")
    url = prepared(f"{cluster.url}/crowded")
    with waiting_gateway(tap, url, tmp_path / "log") as gateway, Peer(broker, REFERENCE) as thing:
        outlives(
            gateway,
            tap,
            thing,
            breaks=small_disk.fill,
            mends=small_disk.free,
            database=lambda: Database(url),
            room=2 * WINDOW,
        )
        assert "No space left" in gateway.said()


def test_a_read_only_file_is_said_in_one_sentence_and_loses_nothing(
    broker: Broker, tap: Tap, small_disk: SmallDisk, tmp_path: Path
) -> None:
    url = prepared(f"sqlite:///{small_disk.folder}/metergate.db")
    with (
        gateway_process(tmp_path / "log", database_url=url, broker_url=tap.url()) as gateway,
        Peer(broker, REFERENCE) as thing,
    ):
        gateway.start(command=True)
        eventually(lambda: "the gateway listens" in gateway.said(), "it is up")
        thing.publish(TOPIC, sample(0))
        eventually(lambda: len(tap.acknowledged) == 1, "all is well before the fault")
        # Killed in the middle of a write it would leave a file that has to be mended, which a read-only one cannot be.
        time.sleep(QUIET_SECONDS)
        gateway.kill()
        small_disk.remount("ro")
        for number in range(1, BEFORE):
            thing.post(TOPIC, sample(number))
        eventually(lambda: thing.flushed(BEFORE), "the broker took everything")

        gateway.start(command=True)
        eventually(lambda: gateway.said().count(WAITS) >= 2, "it tries again and again")
        assert "readonly" in gateway.said()
        assert "Traceback" not in gateway.said()
        assert len(tap.acknowledged) == 1

        gateway.kill()
        small_disk.remount("rw")
        gateway.start(command=True)
        eventually(lambda: len(tap.acknowledged) == BEFORE, "everything is acknowledged", seconds=20)
    database = Database(url)
    assert_exactly(database, BEFORE)
    database.dispose()
