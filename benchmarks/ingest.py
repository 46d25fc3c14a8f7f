"""Messages a second that are committed before they are acknowledged, against `mosquitto_sub` and bare inserts.

draining: a backlog waits in a persistent session, only broker and subscriber run. live: publisher, broker and
subscriber share the machine: `python -m benchmarks ingest`.
"""

import itertools
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import psycopg

from benchmarks import stage
from benchmarks.figures import Figure, ratio
from benchmarks.receiving import CONTENDERS
from benchmarks.stage import START, Publisher, Store, Watch, broker, gateway, listening, message, wait
from storage.types import to_micros
from tests.brokers import Broker

CASE = "ingest"
OBJECTS = 1000
SPACING = timedelta(milliseconds=7)
BATCH = 4000
PRESENT = (1_000_000, 10_000_000)
WORKERS = {"one process": 1, "two processes": 2}
PAHO = {"paho, MQTT 3.1.1": "3.1.1", "paho, MQTT 5": "5"}
"""paho reads the properties of MQTT 5 slowly; `mosquitto_sub` speaks 3.1.1."""
ALONE = ("native, MQTT 5", *PAHO)
"""Receivers that are drained once more with nothing stored: what the client and its language take of each ratio."""
MESSAGES_MAX = 1_000_000
"""Of one backlog: each begins so many spacings after the one before, and all of them before today."""
_numbers = itertools.count()


def backlog(count: int) -> tuple[list[bytes], datetime, datetime]:
    """`count` new messages, and the times in the first and the last of them."""
    first = next(_numbers) * MESSAGES_MAX
    instants = [START + SPACING * (first + number) for number in range(count)]
    return [message(first + n, OBJECTS, at) for n, at in enumerate(instants)], instants[0], instants[-1]


def drain_gateway(url: str, count: int, *, workers: int = 0, **settings: str) -> float:
    """Messages a second from the first batch committed to the last, of a backlog that waited in the session."""
    pieces, first, last = backlog(count)
    watch = Watch(url)
    words = ("--workers", str(workers)) if workers else ()
    try:
        with broker() as running:
            with gateway(url, running, *words, **settings) as process:
                listening(process, url, workers)
            publish(running, pieces)
            with gateway(url, running, *words, **settings):
                began = wait(lambda: watch.committed(first), "the first message is committed", step=0.001)
                before = watch.since(first)
                assert before < count, "the first batch that was seen was the last: publish more"
                ended = wait(lambda: watch.committed(last), "the last message is committed")
                if workers:  # of several members the last message's own need not be the last to commit
                    ended = wait(lambda: watch.since(first) == count, "every message is committed")
        return (count - before) / (ended - began)
    finally:
        watch.close()


def live_gateway(url: str, count: int, **settings: str) -> float:
    """Messages a second from the first published to the last committed."""
    pieces, _, last = backlog(count)
    watch = Watch(url)
    try:
        with broker() as running, gateway(url, running, **settings) as process:
            listening(process)
            began = time.monotonic()
            publish(running, pieces)
            return count / (wait(lambda: watch.committed(last), "the last message is committed") - began)
    finally:
        watch.close()


def publish(running: Broker, pieces: list[bytes]) -> None:
    publisher = Publisher(running)
    publisher.send(pieces)
    publisher.flushed()
    publisher.close()


def yardstick(running: Broker, count: int, *words: str) -> "subprocess.Popen[bytes]":
    """`mosquitto_sub -q 1`, which prints what it receives to nowhere."""
    who = ["-h", "127.0.0.1", "-p", str(running.port), "-u", "gateway", "-P", "gateway", "-i", "yardstick", "-c"]
    return subprocess.Popen(
        ["mosquitto_sub", *who, "-q", "1", "-t", "devices/+/telemetry", "-C", str(count), *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def drain_yardstick(count: int) -> float:
    pieces, _, _ = backlog(count)
    with broker() as running:
        subscribed(running)
        publish(running, pieces)
        began = time.monotonic()
        yardstick(running, count).wait()
        return count / (time.monotonic() - began)


def live_yardstick(count: int) -> float:
    pieces, _, _ = backlog(count)
    with broker() as running:
        subscribed(running)
        process = yardstick(running, count)
        began = time.monotonic()
        publish(running, pieces)
        process.wait()
        return count / (time.monotonic() - began)


def drain_alone(count: int, name: str) -> float:
    """Messages a second of a receiver that acknowledges and throws away."""
    pieces, _, _ = backlog(count)
    with broker() as running:
        CONTENDERS[name](running, 0)
        publish(running, pieces)
        return count / CONTENDERS[name](running, count)


def subscribed(running: Broker) -> None:
    """Make the yardstick's session: it ends once its subscription stands."""
    yardstick(running, 1, "-E").wait()


def bare_inserts(url: str, count: int) -> float:
    """Rows a second of a loop that only inserts the same rows, a commit each `BATCH`, synced to the disk."""
    first = next(_numbers) * MESSAGES_MAX
    rows = [
        (to_micros(START + SPACING * (first + n)), n % OBJECTS + 1, 1, f"{first + n:036d}", n * 1000, 0, 1, "mqtt", 0)
        for n in range(count)
    ]
    columns = "occurred_at, object_id, metric_id, discriminator, quantity, received_at, batch, origin, unkeyed"
    batches = [rows[start : start + BATCH] for start in range(0, count, BATCH)]
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        began = time.monotonic()
        for batch in batches:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(f"INSERT INTO usage_record ({columns}) VALUES (?,?,?,?,?,?,?,?,?)", batch)
            connection.execute("COMMIT")
        seconds = time.monotonic() - began
        connection.close()
    else:
        with psycopg.connect(url) as server:
            began = time.monotonic()
            for batch in batches:
                with server.cursor() as cursor, cursor.copy(f"COPY usage_record ({columns}) FROM STDIN") as copy:
                    for row in batch:
                        copy.write_row(row)
                server.commit()
            seconds = time.monotonic() - began
    return count / seconds


def fresh(store: Store, name: str) -> str:
    return store.create(name, "empty")


def prepared(store: Store, present: int, name: str) -> str:
    """A database with so many usage records before START."""
    url = store.create(name, "empty")
    if present:
        stage.fill(url, present, OBJECTS, first=START - timedelta(days=30), seconds=30 * 86400 - 60)
    return url


def run(*, scale: str, rounds: int, present: Sequence[int] = PRESENT) -> Iterator[Figure]:
    """Every figure of the case; `present` are the usage records that are there before, on the full scale."""
    count = 100_000 if scale == "full" else 50_000
    presents = present if scale == "full" else (20_000,)
    kinds = ("sqlite", "postgresql") if scale == "full" else ("sqlite",)
    for kind in kinds:
        with stage.store(kind) as store:
            stage.make_fleet(store.create("empty"), OBJECTS)
            filled = {present: prepared(store, present, f"with_{present}") for present in presents}
            yield from _of_database(store, kind, filled, count=count, rounds=rounds, scale=scale)


def _of_database(
    store: Store, kind: str, filled: dict[int, str], *, count: int, rounds: int, scale: str
) -> Iterator[Figure]:
    names = ("yardstick", "empty", "bare", *PAHO, *WORKERS, "live", "live sub", *(f"live {name}" for name in PAHO))
    drained: dict[str, list[float]] = {name: [] for name in names}
    alone: dict[str, list[float]] = {name: [] for name in ALONE}
    for present in filled:
        drained[str(present)] = []
    for _ in range(rounds):
        drained["yardstick"].append(drain_yardstick(count))
        drained["empty"].append(drain_gateway(fresh(store, "round"), count))
        for present, url in filled.items():
            drained[str(present)].append(drain_gateway(url, count))
        drained["bare"].append(bare_inserts(fresh(store, "round"), count))
        for name, version in PAHO.items():
            url = fresh(store, "round")
            drained[name].append(drain_gateway(url, count // 2, receiver="paho", mqtt_version=version))
        for name, workers in WORKERS.items():
            drained[name].append(drain_gateway(fresh(store, "round"), count, workers=workers))
        for name in ALONE:
            alone[name].append(drain_alone(count // 2, name))
        drained["live sub"].append(live_yardstick(count))
        drained["live"].append(live_gateway(fresh(store, "round"), count))
        for name, version in PAHO.items():
            url = fresh(store, "round")
            drained[f"live {name}"].append(live_gateway(url, count // 2, receiver="paho", mqtt_version=version))
    sqlite, sub = kind == "sqlite", "mosquitto_sub -q 1"
    unit = "messages/s"
    yield ratio(
        CASE, f"draining a backlog, {kind}", drained["empty"], drained["yardstick"], against=f"{sub} draining",
        must=0.5 if sqlite else 0.3, reach=1.2 if sqlite else 0.5, unit=unit,
    )  # fmt: skip
    yield ratio(
        CASE, f"live, {kind}", drained["live"], drained["live sub"], against=f"{sub} live",
        must=0.8 if sqlite else None, reach=1.0 if sqlite else None, unit=unit,
    )  # fmt: skip
    yield from _of_clients(kind, drained, alone)
    yield ratio(
        CASE, f"draining a backlog, {kind}", drained["empty"], drained["bare"],
        against="a bare loop of inserts of the same rows", unit=unit,
    )  # fmt: skip
    for present in filled:
        yield ratio(
            CASE, f"draining with {present:,} records present, {kind}", drained[str(present)], drained["empty"],
            against="draining into an empty table", must=0.7 if scale == "full" else None,
            reach=0.9 if scale == "full" else None, unit=unit,
        )  # fmt: skip
    yield ratio(
        CASE, f"two ingest processes, {kind}", drained["two processes"], drained["one process"],
        against="one ingest process", unit=unit,
    )  # fmt: skip


def _of_clients(kind: str, drained: dict[str, list[float]], alone: dict[str, list[float]]) -> Iterator[Figure]:
    """The gateway with paho, and each client with nothing stored."""
    sqlite, sub = kind == "sqlite", "mosquitto_sub -q 1"
    for name in PAHO:
        yield ratio(
            CASE, f"draining with {name}, {kind}", drained[name], drained["yardstick"], against=f"{sub} draining",
            must=0.25 if sqlite else 0.2, unit="messages/s",
        )  # fmt: skip
        yield ratio(
            CASE, f"live with {name}, {kind}", drained[f"live {name}"], drained["live sub"], against=f"{sub} live",
            must=0.6 if sqlite else None, unit="messages/s",
        )  # fmt: skip
    for name, found in alone.items():
        yield ratio(
            CASE, f"receiving alone, nothing stored, {name}, beside {kind}", found, drained["yardstick"],
            against=f"{sub} draining", unit="messages/s",
        )  # fmt: skip
