"""What the benchmarks play on: a broker with the shipped configuration, databases that sync to the disk, a gateway."""

import os
import shutil
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import text

from billing import catalogue
from billing.registry import NewObject, create_objects
from gateway.cli.demo import ANY_PORT
from gateway.links import packets
from storage import members, partitions
from storage.database import Database
from storage.types import to_micros
from tests import brokers, postgres
from tests.brokers import ROOT, Broker

BRIDGE = "bridge"
START = datetime(2026, 6, 1, tzinfo=UTC)
BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE_SECONDS = 300.0
OBJECTS_AT_ONCE = 5000
SLICE_SECONDS = 0.0005
"""Between two looks at what is due."""
FLEET = """\
seller: {name: Seller, country: FR, currency: EUR, timezone: Europe/Paris}
metrics: [{name: usage, unit: unit, kind: delta, decimals: 6}]
customers: [{reference: FLEET, name: Fleet Customer, country: FR}]
plans:
  - name: Usage
    charges:
      - name: Usage
        type: usage
        vat_rate: "20"
        calculator: {metric: usage, aggregation: sum, price: {model: per_unit, unit_price: "0.0123"}}
contracts: [{name: Fleet, customer: FLEET, starts_on: "2026-01-01", subscriptions: [Usage]}]
"""


def reference(number: int) -> str:
    """The name of the nth object."""
    return f"IOT_{number:06d}"


@contextmanager
def broker() -> Iterator[Broker]:
    """Mosquitto as shipped, with a user that may speak for the whole fleet."""
    with (
        tempfile.TemporaryDirectory(prefix="metergate-bench-") as folder,
        brokers.mosquitto(Path(folder), bridge=BRIDGE) as running,
    ):
        yield running


@dataclass(slots=True)
class Store:
    """Databases on one server (or in one folder): made once, copied for every round."""

    folder: Path
    cluster: postgres.Cluster | None
    made: set[str] = field(default_factory=set)
    """Names of the databases that are there."""

    def url(self, name: str) -> str:
        return f"sqlite:///{self.folder / name}.db" if self.cluster is None else f"{self.cluster.url}/{name}"

    def create(self, name: str, template: str | None = None) -> str:
        """A database of that name, empty or as the template is."""
        self.drop(name)
        self.made.add(name)
        if self.cluster is None:
            if template is not None:
                shutil.copyfile(self.folder / f"{template}.db", self.folder / f"{name}.db")
        else:
            self._administer(
                f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}" STRATEGY FILE_COPY' if template else "")
            )
        return self.url(name)

    def drop(self, name: str) -> None:
        """Remove it, if it is there."""
        self.made.discard(name)
        if self.cluster is None:
            for suffix in ("", "-wal", "-shm"):
                (self.folder / f"{name}.db{suffix}").unlink(missing_ok=True)
        else:
            self._administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _administer(self, statement: str) -> None:
        assert self.cluster is not None
        with psycopg.connect(f"{self.cluster.url}/postgres", autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def store(kind: str) -> Iterator[Store]:
    """`sqlite` in a temporary folder, or `postgresql` in a cluster of its own, both syncing each commit to the disk."""
    with tempfile.TemporaryDirectory(prefix="metergate-bench-") as folder:
        if kind == "sqlite":
            yield Store(folder=Path(folder), cluster=None)
        else:
            with postgres.cluster(durable=True) as cluster:
                yield Store(folder=Path(folder), cluster=cluster)


def make_fleet(url: str, objects: int, *, active_since: date | None = None) -> None:
    """A migrated database with the catalogue and `objects` objects, active since a day when one is given."""
    database = Database(url)
    now = (
        START if active_since is None else datetime(active_since.year, active_since.month, active_since.day, tzinfo=UTC)
    )
    try:
        database.migrate()
        with database.transaction() as session:
            catalogue.apply(session, catalogue.load(FLEET, "fleet.yaml"), BEFORE)
            if active_since is not None:
                partitions.ensure_partitions(session, today=active_since)
        for first in range(0, objects, OBJECTS_AT_ONCE):
            new = [
                NewObject(
                    reference=reference(number),
                    customer="FLEET",
                    contract="Fleet",
                    subscription="Usage",
                    activate=active_since is not None,
                    starts_on=active_since,
                )
                for number in range(first, min(objects, first + OBJECTS_AT_ONCE))
            ]
            with database.transaction() as session:
                create_objects(session, new, status="pending", now=now, origin="import")
    finally:
        database.dispose()


def fill(url: str, records: int, objects: int, *, first: datetime, seconds: int, batch: int = 1) -> None:
    """`records` usage records in order of time over `seconds`, spread over the objects, with their rollup, by SQL.

    Record and rollup are what ingest would have written in one batch; no two records are of one instant, and the
    quantities are scattered, so that hardly two objects use the same. All other batches must be older.
    """
    database = Database(url)
    start, step = to_micros(first), seconds * 1_000_000 // records
    sqlite = database.is_sqlite
    series = (
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :records) SELECT"
        if sqlite
        else "SELECT"
    )
    source = "FROM n" if sqlite else "FROM generate_series(0::bigint, CAST(:records AS bigint) - 1) AS n(i)"
    least = "(SELECT min(id) FROM connected_object)"

    def quantity(number: str) -> str:
        return f"1 + ({number}) * 2654435761 % 5000000"

    try:
        with database.transaction() as session:
            connection = session.connection()
            # PostgreSQL makes the usage of the month ahead wait in its own partition: see storage/partitions.py.
            connection.execute(
                text(
                    "INSERT INTO usage_record (occurred_at, object_id, metric_id, discriminator, quantity, "
                    f"received_at, batch, origin, unkeyed) {series} {start} + i * {step}, {least} + i % :objects, "
                    f"(SELECT min(id) FROM metric), '', {quantity('i')}, "
                    f"{start} + i * {step}, {batch}, 'import', 0 {source}"
                ),
                {"records": records, "objects": objects},
            )
            days = (
                "SELECT object_id, metric_id, occurred_at / 86400000000 AS day, count(*) AS n, sum(quantity) AS total, "
                "max(quantity) AS top, min(quantity) AS low, min(occurred_at) AS first, max(occurred_at) AS last "
                f"FROM usage_record WHERE occurred_at >= {start} AND occurred_at < {start + records * step} "
                "GROUP BY object_id, metric_id, occurred_at / 86400000000"
            )
            most, least_of = ("max", "min") if sqlite else ("greatest", "least")
            ends = (f"{name}, {quantity(f'({name} - {start}) / {step}')}" for name in ("first", "last"))
            connection.execute(
                text(
                    "INSERT INTO usage_rollup (object_id, metric_id, day, record_count, quantity_sum, quantity_max, "
                    "quantity_min, first_at, first_quantity, last_at, last_quantity, batch) "
                    f"SELECT object_id, metric_id, day, n, total, top, low, {', '.join(ends)}, {batch} "
                    f"FROM ({days}) AS d WHERE true ORDER BY day, object_id "
                    "ON CONFLICT (day, object_id, metric_id) DO UPDATE SET "
                    "record_count = usage_rollup.record_count + excluded.record_count, "
                    "quantity_sum = usage_rollup.quantity_sum + excluded.quantity_sum, "
                    f"quantity_max = {most}(usage_rollup.quantity_max, excluded.quantity_max), "
                    f"quantity_min = {least_of}(usage_rollup.quantity_min, excluded.quantity_min), "
                    "last_at = excluded.last_at, last_quantity = excluded.last_quantity, batch = excluded.batch"
                )
            )
            connection.execute(
                text(
                    f"INSERT INTO usage_day (day, batch) SELECT DISTINCT day, {batch} FROM usage_rollup "
                    f"WHERE batch = {batch} ON CONFLICT (day) DO UPDATE SET batch = excluded.batch"
                )
            )
            connection.execute(text(f"UPDATE ingest_counter SET last_batch = {batch}"))
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            # What PostgreSQL's autovacuum does to a table that was filled: without it the first reader pays for it.
            connection.exec_driver_sql("ANALYZE" if sqlite else "VACUUM (ANALYZE)")
    finally:
        database.dispose()


def as_installed() -> dict[str, str]:
    """The environment of a command as an installation starts it: without settings of ours, from compiled modules.

    To compile some 850 modules at each start takes longer than all else in it, and leaves 5 MiB of gaps in the memory.
    """
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("METERGATE_") and key != "PYTHONDONTWRITEBYTECODE"
    }


@contextmanager
def gateway(
    url: str,
    running: Broker,
    *words: str,
    module: str = "gateway.cli.main",
    function: str = "main",
    **settings: str,
) -> Iterator["subprocess.Popen[str]"]:
    """`metergate run` as a process of its own, with all that it does, from before it listens until it is stopped."""
    environment = {
        **as_installed(),
        "METERGATE_DATABASE_URL": url,
        "METERGATE_BROKER_URL": running.url(),
        "METERGATE_HTTP_LISTEN": ANY_PORT,
        **{f"METERGATE_{key.upper()}": value for key, value in settings.items()},
    }
    code = f"from {module} import {function}; {function}()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "run", *words],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def listening(process: "subprocess.Popen[str]", url: str = "", workers: int = 0) -> str:
    """Wait until a gateway says that it listens, and until as many ingest members as it supervises are at work.

    Returns the address of its console.
    """
    assert process.stdout is not None
    said = "supervises" if workers else "listens"
    line = next((line for line in process.stdout if said in line), None)
    if line is None:
        raise RuntimeError("the gateway ended before it listened")
    if workers:
        database = Database(url)

        def at_work() -> bool:
            with database.snapshot() as session:
                found = members.members(session, datetime.now(UTC))
            return sum(member.state == "at work" for member in found) >= workers

        wait(at_work, f"{workers} ingest members are at work")
        database.dispose()
    return line.rpartition("it serves ")[2].strip()


# --- publishing -------------------------------------------------------------------------------------------


class Publisher:
    """A socket that speaks only PUBLISH at QoS 1, from packets made before the clock starts."""

    def __init__(self, running: Broker) -> None:
        self._socket = socket.create_connection(("127.0.0.1", running.port))
        self._socket.sendall(
            packets.connect(
                five=False,
                client_id="publisher",
                user=BRIDGE,
                password=BRIDGE,
                keepalive_seconds=0,
                receive_window=65535,
                maximum_packet_bytes=2**20,
            )
        )
        answer = self._socket.recv(4)
        assert (answer[:2], answer[3:]) == (b"\x20\x02", b"\x00"), answer  # between them: whether a session was there
        self._acknowledged = 0
        self._sent = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def send(self, pieces: list[bytes]) -> None:
        """Send packets that hold one message each, joined or not, as fast as the broker takes them."""
        self._sent += len(pieces)
        for first in range(0, len(pieces), 500):
            self._socket.sendall(b"".join(pieces[first : first + 500]))

    def send_evenly(self, pieces: list[bytes], rate: float, began: float) -> None:
        """Send `rate` packets a second from the time `began` (seconds since 1970) on."""
        sent = 0
        while sent < len(pieces):
            wanted = min(int((time.time() - began) * rate), len(pieces))
            self.send(pieces[sent:wanted])
            sent = wanted
            time.sleep(SLICE_SECONDS)

    def flushed(self) -> None:
        """Wait until the broker has acknowledged all."""
        wait(lambda: self._acknowledged >= self._sent, "the broker takes what is published")

    def close(self) -> None:
        self._socket.close()

    def _listen(self) -> None:
        rest = 0
        while True:
            try:
                data = self._socket.recv(2**18)
            except OSError:
                return
            if not data:
                return
            rest += len(data)
            self._acknowledged += rest // 4
            rest %= 4


def message(number: int, objects: int, instant: datetime) -> bytes:
    """The nth PUBLISH at QoS 1 with about 150 bytes of native JSON, an id and a time."""
    stamp = instant.isoformat(timespec="microseconds").replace("+00:00", "Z")
    body = (
        (
            f'{{"id": "00000000-0000-4000-8000-{number:012d}", "ts": "{stamp}", '
            f'"metrics": {{"usage": {number % 1000}.{number % 997:03d}}}, "properties": {{}}}}'
        )
        .replace(', "properties": {}', "")
        .encode()
    )
    return packet(number, f"devices/{reference(number % objects)}/telemetry", body)


def packet(number: int, topic: str, body: bytes) -> bytes:
    """The nth PUBLISH at QoS 1 of a connection."""
    name = topic.encode()
    variable = struct.pack(">H", len(name)) + name + struct.pack(">H", number % 65535 + 1)
    length, size = bytearray(), len(variable) + len(body)
    while True:
        size, seven = size >> 7, size & 0x7F
        length.append(seven | (0x80 if size else 0))
        if not size:
            return bytes([0x32, *length]) + variable + body


def wait(condition: Callable[[], bool], what: str, *, seconds: float = PATIENCE_SECONDS, step: float = 0.005) -> float:
    """Wait until `condition()` holds; the monotonic time when it did."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(step)
    return time.monotonic()


class Watch:
    """Looks from outside at what is committed, cheaply: it shares the processors with what is measured."""

    def __init__(self, url: str) -> None:
        self._driver: Any = (
            sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
            if url.startswith("sqlite")
            else psycopg.connect(url, autocommit=True)
        )

    def committed(self, instant: datetime) -> bool:
        return bool(self._ask(f"SELECT 1 FROM usage_record WHERE occurred_at = {to_micros(instant)} LIMIT 1"))

    def since(self, instant: datetime) -> int:
        """How many records of that instant or later are committed."""
        ((count,),) = self._ask(f"SELECT count(*) FROM usage_record WHERE occurred_at >= {to_micros(instant)}")
        return int(count)

    def close(self) -> None:
        self._driver.close()

    def _ask(self, question: str) -> list[tuple[int, ...]]:
        rows: list[tuple[int, ...]] = self._driver.execute(question).fetchall()
        return rows
