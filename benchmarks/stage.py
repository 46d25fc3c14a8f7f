"""What the benchmarks play on: a broker with the shipped configuration, databases that sync to the disk, a gateway."""

import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from sqlalchemy import text

from billing import catalogue
from billing.registry import NewObject, create_objects
from gateway.links import packets
from storage import members
from storage.database import Database
from storage.types import to_micros
from tests import brokers, postgres
from tests.brokers import ROOT, Broker

BRIDGE = "bridge"
START = datetime(2026, 6, 1, tzinfo=UTC)
BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE_SECONDS = 300.0
OBJECTS_AT_ONCE = 5000
FLEET = """\
seller: {name: Seller, country: FR, currency: EUR, timezone: UTC}
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

    def url(self, name: str) -> str:
        return f"sqlite:///{self.folder / name}.db" if self.cluster is None else f"{self.cluster.url}/{name}"

    def create(self, name: str, template: str | None = None) -> str:
        """A database of that name, empty or as the template is."""
        if self.cluster is None:
            self.drop(name)
            if template is not None:
                shutil.copyfile(self.folder / f"{template}.db", self.folder / f"{name}.db")
        else:
            self.drop(name)
            self._administer(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
        return self.url(name)

    def drop(self, name: str) -> None:
        """Remove it, if it is there."""
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


def make_fleet(url: str, objects: int, *, activate: bool) -> None:
    """A migrated database with the catalogue and `objects` objects, active since January when wanted."""
    database = Database(url)
    try:
        database.migrate()
        with database.transaction() as session:
            catalogue.apply(session, catalogue.load(FLEET, "fleet.yaml"), BEFORE)
        for first in range(0, objects, OBJECTS_AT_ONCE):
            new = [
                NewObject(
                    reference=reference(number),
                    customer="FLEET",
                    contract="Fleet",
                    subscription="Usage",
                    activate=activate,
                    starts_on=START.date() if activate else None,
                )
                for number in range(first, min(objects, first + OBJECTS_AT_ONCE))
            ]
            with database.transaction() as session:
                create_objects(session, new, status="pending", now=START, origin="import")
    finally:
        database.dispose()


def fill(url: str, records: int, objects: int, *, first: datetime, seconds: int) -> None:
    """`records` usage records in order of time over `seconds`, spread over the objects, with their rollup, by SQL."""
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
    try:
        with database.transaction() as session:
            connection = session.connection()
            # PostgreSQL makes the usage of the month ahead wait in its own partition: see storage/partitions.py.
            connection.execute(
                text(
                    "INSERT INTO usage_record (occurred_at, object_id, metric_id, discriminator, quantity, "
                    f"received_at, batch, origin, unkeyed) {series} {start} + i * {step}, {least} + i % :objects, "
                    f"(SELECT min(id) FROM metric), '', 1000000 + i % 997, "
                    f"{start} + i * {step}, 1, 'import', 0 {source}"
                ),
                {"records": records, "objects": objects},
            )
            connection.execute(
                text(
                    "INSERT INTO usage_rollup (object_id, metric_id, day, record_count, quantity_sum, quantity_max, "
                    "quantity_min, first_at, first_quantity, last_at, last_quantity, batch) "
                    "SELECT object_id, metric_id, occurred_at / 86400000000, count(*), sum(quantity), max(quantity), "
                    "min(quantity), min(occurred_at), min(quantity), max(occurred_at), max(quantity), 1 "
                    "FROM usage_record GROUP BY object_id, metric_id, occurred_at / 86400000000"
                )
            )
            connection.execute(text("UPDATE ingest_counter SET last_batch = 1"))
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))
    finally:
        database.dispose()


@contextmanager
def gateway(
    url: str, running: Broker, *words: str, module: str = "gateway.cli.main", **settings: str
) -> Iterator["subprocess.Popen[str]"]:
    """`metergate run` as a process of its own, from before it listens until it is stopped."""
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("METERGATE_")},
        "METERGATE_DATABASE_URL": url,
        "METERGATE_BROKER_URL": running.url(),
        **{f"METERGATE_{key.upper()}": value for key, value in settings.items()},
    }
    code = f"from {module} import main; main()"
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


def listening(process: "subprocess.Popen[str]", url: str = "", workers: int = 0) -> None:
    """Wait until a gateway says that it listens, and until as many ingest members as it supervises are at work."""
    assert process.stdout is not None
    said = "supervises" if workers else "listens"
    if not any(said in line for line in process.stdout):
        raise RuntimeError("the gateway ended before it listened")
    if workers:
        database = Database(url)

        def at_work() -> bool:
            with database.snapshot() as session:
                found = members.members(session, datetime.now(UTC))
            return sum(member.state == "at work" for member in found) >= workers

        wait(at_work, f"{workers} ingest members are at work")
        database.dispose()


def peak_mebibytes(pid: int) -> float:
    """The most memory that a process has held at once."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found.group(1)) / 1024


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
        assert self._socket.recv(4) == b"\x20\x02\x00\x00"
        self._acknowledged = 0
        self._sent = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def send(self, pieces: list[bytes]) -> None:
        """Send packets that hold one message each, joined or not, as fast as the broker takes them."""
        self._sent += len(pieces)
        for first in range(0, len(pieces), 500):
            self._socket.sendall(b"".join(pieces[first : first + 500]))

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
    topic = f"devices/{reference(number % objects)}/telemetry".encode()
    stamp = instant.isoformat(timespec="microseconds").replace("+00:00", "Z")
    body = (
        (
            f'{{"id": "00000000-0000-4000-8000-{number:012d}", "ts": "{stamp}", '
            f'"metrics": {{"usage": {number % 1000}.{number % 997:03d}}}, "properties": {{}}}}'
        )
        .replace(', "properties": {}', "")
        .encode()
    )
    variable = struct.pack(">H", len(topic)) + topic + struct.pack(">H", number % 65535 + 1)
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
    """Looks from outside whether the record of an instant is committed."""

    def __init__(self, url: str) -> None:
        self._database = Database(url)

    def committed(self, instant: datetime) -> bool:
        with self._database.snapshot() as session:
            row = session.connection().exec_driver_sql(
                f"SELECT 1 FROM usage_record WHERE occurred_at = {to_micros(instant)} LIMIT 1"
            )
            return row.first() is not None

    def close(self) -> None:
        self._database.dispose()
