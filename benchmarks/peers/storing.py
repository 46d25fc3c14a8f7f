"""Programs that take MQTT messages into SQLite: rows a second in their table, while they are published."""

import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO

from benchmarks import ingest, stage
from benchmarks.figures import Figure, ratio
from benchmarks.stage import broker, wait
from tests.brokers import Broker

SETTLE_SECONDS = 2.0
"""From the peer's connection to its subscription; the clock is not running."""
NOTE = "it acknowledges before it stores, a commit a row, no check, no dedupe"

Start = Callable[[Path, Broker, Path, IO[str]], "subprocess.Popen[bytes]"]
"""`start(folder, broker, database, log)` starts the program as the user `gateway`; its table is `messages`."""


def beside_ours(name: str, start: Start, *, scale: str, rounds: int) -> Iterator[Figure]:
    """The peer and our gateway on SQLite, live, in turn."""
    ours, theirs = [], []
    with stage.store("sqlite") as store:
        stage.make_fleet(store.create("empty"), ingest.OBJECTS)
        for _ in range(rounds):
            theirs.append(_live(start, 2_000 if scale == "full" else 50))
            ours.append(ingest.live_gateway(ingest.fresh(store, "round"), 100_000 if scale == "full" else 5_000))
    yield ratio("peers", "live ingest, sqlite", ours, theirs, against=f"{name} ({NOTE})", unit="messages/s")


def _live(start: Start, count: int) -> float:
    """Rows a second of the peer, from the first message published to the last row in its table."""
    pieces, _, _ = ingest.backlog(count)
    with tempfile.TemporaryDirectory(prefix="metergate-bench-") as name, broker() as running:
        folder = Path(name)
        database = folder / "peer.db"
        with (folder / "log").open("w+") as log:
            process = start(folder, running, database, log)
            try:
                _alive_until(process, folder, lambda: "u'gateway'" in (running.folder / "mosquitto.log").read_text())
                time.sleep(SETTLE_SECONDS)
                began = time.monotonic()
                ingest.publish(running, pieces)
                _alive_until(process, folder, lambda: _rows(database) >= count)
                return count / (time.monotonic() - began)
            finally:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _rows(database: Path) -> int:
    if not database.exists():
        return 0
    with closing(sqlite3.connect(database, timeout=5)) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM messages").fetchone()[0])
        except sqlite3.OperationalError:
            return 0  # the peer has not made its table yet


def _alive_until(process: "subprocess.Popen[bytes]", folder: Path, condition: Callable[[], bool]) -> None:
    def reached() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"it ended: {(folder / 'log').read_text()[-300:]}")
        return condition()

    wait(reached, "the peer works", step=0.05)
