"""From publish to commit at half and at a tenth of the live rate: `python -m benchmarks latency`.

A message carries the time when its publishing was due, the gateway under test notes the time after each commit, and
the batch number joins the two. Beside it, at the same rate, a process that only receives, acknowledges and throws away:
what the broker and the machine take of it.
"""

import gc
import json
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import event
from sqlmodel import Session

from benchmarks import ingest, stage
from benchmarks.figures import Figure, measure
from benchmarks.receiving import link_of
from benchmarks.stage import Publisher, Watch, broker, gateway, listening, message, wait
from config.settings import Settings
from gateway.cli.main import main as metergate
from storage import usage
from storage.database import Database
from storage.types import to_micros
from tests.brokers import Broker

CASE = "latency"
AHEAD_SECONDS, MAKING_SECONDS = 1.0, 20e-6
"""Before the first message is due, and more for each that is made."""
LOG = "BENCH_COMMIT_LOG"


class Load(NamedTuple):
    """A part of the live rate, and the bounds there (must, reach) of each thing measured, in milliseconds."""

    part: float
    bounds: Mapping[str, tuple[float | None, float | None]]


LOADS = {
    "half": Load(0.5, {"median": (5, 2), "99th percentile": (25, 10)}),
    "a tenth": Load(0.1, {"median": (None, None), "99th percentile": (None, None)}),
}


def main() -> None:
    """`metergate run` that appends the time after each commit of usage to a file: the process under test."""
    log = Path(os.environ[LOG]).open("a", encoding="utf-8", buffering=1)  # noqa: SIM115 - as long as the process
    here = threading.local()

    record = usage.record

    def noted(session: Session, facts: Sequence[usage.Row], *others: Any, **named: Any) -> usage.Recorded:
        here.takes_batch = bool(facts)
        return record(session, facts, *others, **named)

    usage.record = noted

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
            _heard_once(running, url)
            began = _paced(running, rate, seconds)
            time.sleep(1)
        commits = [float(line) for line in log.read_text().split()]
        database = Database(url)
        try:
            with database.snapshot() as session:
                rows = (
                    session.connection()
                    .exec_driver_sql(
                        f"SELECT occurred_at, batch FROM usage_record WHERE occurred_at >= {to_micros(began)}"
                    )
                    .all()
                )
                (last,) = session.connection().exec_driver_sql("SELECT last_batch FROM ingest_counter").one()
        finally:
            database.dispose()
    assert last == len(commits), f"{last} batches, {len(commits)} commits were noted"
    return [(commits[batch - 1] - occurred_at / 1e6) * 1000 for occurred_at, batch in rows]


def receive() -> None:
    """Receive and acknowledge until SIGTERM, then print the milliseconds that each message took: the limit."""
    settings = Settings()
    link = link_of(settings)
    signal.signal(signal.SIGTERM, lambda *_: link.interrupt())
    link.open()
    print("it listens", flush=True)
    # What is kept until the end is no garbage; looking for some in it would be counted as the broker's delay.
    gc.disable()
    arrived: list[tuple[float, list[bytes]]] = []
    while batch := link.receive(settings.batch_max):
        link.acknowledge([message.packet_id for message in batch])
        arrived.append((time.time(), [message.payload for message in batch]))
    print(json.dumps([(at - _stated(payload)) * 1000 for at, payloads in arrived for payload in payloads]))


def _stated(payload: bytes) -> float:
    return datetime.fromisoformat(json.loads(payload)["ts"]).timestamp()


def delays_of_receiving(rate: float, seconds: float) -> list[float]:
    """Milliseconds from publish to reception, at `rate` messages a second, where nothing is stored."""
    with broker() as running, gateway("", running, module="benchmarks.latency", function="receive") as process:
        listening(process)
        _paced(running, rate, seconds)
        time.sleep(1)
        process.terminate()
        assert process.stdout is not None
        return [float(delay) for delay in json.loads(process.stdout.read())]


def _heard_once(running: Broker, url: str) -> None:
    """A message of each object, stored: what a gateway that has run for a while knows of its fleet."""
    pieces, _, last = ingest.backlog(ingest.OBJECTS)
    ingest.publish(running, pieces)
    watch = Watch(url)
    wait(lambda: watch.committed(last), "every object was heard once")
    watch.close()


def _paced(running: Broker, rate: float, seconds: float) -> datetime:
    """Publish evenly from the instant returned on.

    A message carries the time when it is due, and is made before the clock starts.
    """
    count = int(rate * seconds)
    publisher = Publisher(running)
    began = time.time() + AHEAD_SECONDS + count * MAKING_SECONDS
    due = datetime.fromtimestamp(began, UTC)
    pieces = [message(n, ingest.OBJECTS, due + timedelta(seconds=n / rate)) for n in range(count)]
    assert time.time() < began, "the messages were not made in time"
    time.sleep(began - time.time())
    publisher.send_evenly(pieces, rate, began)
    publisher.flushed()
    publisher.close()
    return due


def run(*, scale: str, rounds: int) -> Iterator[Figure]:
    """Median and 99th percentile over all messages of each round, on each database, at each load."""
    for kind in ("sqlite", "postgresql") if scale == "full" else ("sqlite",):
        yield from _of_database(kind, seconds=6.0 if scale == "full" else 2.0, scale=scale, rounds=rounds)


def _of_database(kind: str, *, seconds: float, scale: str, rounds: int) -> Iterator[Figure]:
    with stage.store(kind) as store:
        stage.make_fleet(store.create("empty"), ingest.OBJECTS)
        count, tries = (60_000, 3) if scale == "full" else (3_000, 1)
        live = statistics.median(ingest.live_gateway(store.create("round", "empty"), count) for _ in range(tries))
    stored: dict[str, list[tuple[float, float]]] = {name: [] for name in LOADS}
    received: dict[str, list[tuple[float, float]]] = {name: [] for name in LOADS}
    for _ in range(rounds):
        for name, load in LOADS.items():
            stored[name].append(_middle_and_worst(delays(kind, rate=live * load.part, seconds=seconds)))
            received[name].append(_middle_and_worst(delays_of_receiving(live * load.part, seconds)))
    for name, load in LOADS.items():
        at = f"at {live * load.part:,.0f} messages/s"
        beside = f"beside {kind} at {name} of the live rate"
        for place, (what, (must, reach)) in enumerate(load.bounds.items()):
            yield measure(
                CASE, f"publish to commit, {what}, {kind}, at {name} of the live rate",
                [round_[place] for round_ in stored[name]], unit="ms", must=must, reach=reach, detail=at,
            )  # fmt: skip
            yield measure(
                CASE, f"publish to reception, nothing stored, {what}, {beside}",
                [round_[place] for round_ in received[name]], unit="ms", detail=at,
            )  # fmt: skip


def _middle_and_worst(found: list[float]) -> tuple[float, float]:
    found = sorted(found)
    return statistics.median(found), found[int(len(found) * 0.99)]
