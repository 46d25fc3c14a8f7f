"""From publish to commit at half of the live rate: `python -m benchmarks latency`.

A message carries the time of its publishing, the gateway under test notes the time after each commit, and the batch
number joins the two.
"""

import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, event
from sqlmodel import Session

from benchmarks import ingest, stage
from benchmarks.figures import Figure, measure
from benchmarks.stage import Publisher, broker, gateway, listening, message
from gateway.cli.main import main as metergate
from storage.database import Database
from tests.brokers import Broker

CASE = "latency"
SLICE_SECONDS = 0.005
LOG = "BENCH_COMMIT_LOG"


def main() -> None:
    """`metergate run` that appends the time after each commit of usage to a file: the process under test."""
    log = Path(os.environ[LOG]).open("a", encoding="utf-8", buffering=1)  # noqa: SIM115 - as long as the process
    here = threading.local()

    @event.listens_for(Engine, "before_cursor_execute")
    def _before(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "INTO ingest_counter" in statement:
            here.takes_batch = True

    @event.listens_for(Session, "after_commit")
    def _after(_session: Session) -> None:
        if getattr(here, "takes_batch", False):
            here.takes_batch = False
            log.write(f"{time.time()!r}\n")

    metergate(sys.argv[1:])


def delays(kind: str, *, rate: float, seconds: float) -> list[float]:
    """Milliseconds from publish to commit of every message, at `rate` messages a second."""
    with (
        stage.store(kind) as store,
        broker() as running,
        tempfile.TemporaryDirectory(prefix="metergate-bench-") as folder,
    ):
        url = store.create("empty")
        stage.make_fleet(url, ingest.OBJECTS)
        log = Path(folder) / "commits"
        os.environ[LOG] = str(log)
        with gateway(url, running, module="benchmarks.latency") as process:
            listening(process)
            _paced(running, rate, seconds)
            time.sleep(1)
        commits = [float(line) for line in log.read_text().split()]
        database = Database(url)
        try:
            with database.snapshot() as session:
                rows = session.connection().exec_driver_sql("SELECT occurred_at, batch FROM usage_record").all()
                (last,) = session.connection().exec_driver_sql("SELECT last_batch FROM ingest_counter").one()
        finally:
            database.dispose()
    assert last == len(commits), f"{last} batches, {len(commits)} commits were noted"
    return [(commits[batch - 1] - occurred_at / 1e6) * 1000 for occurred_at, batch in rows]


def _paced(running: Broker, rate: float, seconds: float) -> None:
    publisher = Publisher(running)
    began, sent = time.time(), 0
    while (elapsed := time.time() - began) < seconds:
        wanted = int(elapsed * rate)
        publisher.send([message(number, ingest.OBJECTS, datetime.now(UTC)) for number in range(sent, wanted)])
        sent = wanted
        time.sleep(SLICE_SECONDS / 10)
    publisher.flushed()
    publisher.close()


def run(*, scale: str, rounds: int) -> Iterator[Figure]:
    """Median and 99th percentile over all messages of each round, on each database."""
    for kind in ("sqlite", "postgresql") if scale == "full" else ("sqlite",):
        yield from _of_database(kind, seconds=6.0 if scale == "full" else 2.0, scale=scale, rounds=rounds)


def _of_database(kind: str, *, seconds: float, scale: str, rounds: int) -> Iterator[Figure]:
    with stage.store(kind) as store:
        stage.make_fleet(store.create("empty"), ingest.OBJECTS)
        live = ingest.live_gateway(store.create("round", "empty"), 60_000 if scale == "full" else 3_000)
    medians, worst = [], []
    for _ in range(rounds):
        found = sorted(delays(kind, rate=live / 2, seconds=seconds))
        medians.append(statistics.median(found))
        worst.append(found[int(len(found) * 0.99)])
    load = f"at {live / 2:,.0f} messages/s, half of the live rate"
    yield measure(CASE, f"publish to commit, median, {kind}", medians, unit="ms", must=5, reach=2, detail=load)
    yield measure(CASE, f"publish to commit, 99th percentile, {kind}", worst, unit="ms", must=25, reach=10, detail=load)
