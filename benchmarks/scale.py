"""Unit costs of a scaled-down fleet on the real path, and what they make of a million objects.

A publisher at the whole fleet's rate, Mosquitto with the shipped configuration, `metergate run --workers 2`, PostgreSQL
that syncs to the disk, then a close. What is counted is processor time of each part, bytes and rows, which hold on a
noisy machine and at another size; several sizes of fleet are run to see that they do. From the repository:

    .venv/bin/python -m benchmarks.scale --write docs/scale.md
"""

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import figures
from benchmarks.figures import Figure
from benchmarks.memory import peak_mebibytes, resident_mebibytes
from benchmarks.stage import BRIDGE, Publisher, packet
from billing import catalogue
from billing.registry import NewObject, create_objects
from gateway.links import packets
from gateway.supervisor import metergate
from storage import members, partitions
from storage.database import Database
from tests import brokers, postgres
from tests.brokers import Broker, eventually

MONTH = date(2022, 4, 1)
CREATED = datetime(2022, 3, 31, 12, tzinfo=UTC)
START_MILLIS = 1_649_030_400_000
"""4 April 2022, 00:00 UTC."""
MINUTE_MILLIS = 60_000
OBJECTS_A_CONTRACT = 500
PATIENCE_SECONDS = 120.0
CONNECTED = 5_000
"""Objects that are connected at once, to see what one takes of the broker's memory."""
STARTS = 5
"""Starts of the command, whose median is taken off a close."""
TICKS = os.sysconf("SC_CLK_TCK")
FLEET = """
seller: {name: Metergate Demo SAS, country: FR, vat_number: FRXX999999999, currency: EUR, timezone: Europe/Paris}
metrics: [{name: usage, unit: unit, kind: delta, decimals: 6}]
customers: [{reference: FLEET, name: Fleet Customer, country: FR}]
plans:
  - name: Usage
    charges:
      - name: Usage
        type: usage
        vat_rate: "20"
        calculator: {metric: usage, aggregation: sum, price: {model: per_unit, unit_price: "0.001", included: "0"}}
contracts:
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What one run measured; microseconds are processor time."""

    objects: float
    messages: float
    wall_messages_a_second: float
    broker_us_a_message: float
    broker_kibibytes_a_session: float
    """Of an object that is connected, with a session that is kept and one subscription; without TLS."""
    ingest_us_a_message: float
    database_us_a_message: float
    record_bytes: float
    rollup_row_bytes: float
    wal_bytes_a_message: float
    worker_mebibytes: float
    close_us_a_schedule: float
    close_database_us_a_schedule: float
    close_schedules_a_second: float


def spreads(rounds: list[Costs]) -> dict[str, Figure]:
    """Of each cost, its median with the lowest and the highest."""
    columns = {name: [asdict(each)[name] for each in rounds] for name in asdict(rounds[0])}
    return {name: figures.measure("scale", name, values, unit="") for name, values in columns.items()}


def typical(rounds: list[Costs]) -> Costs:
    """The medians."""
    return Costs(**{name: it.value for name, it in spreads(rounds).items()})


def cpu_seconds(pid: int, *, with_children: bool = False) -> float:
    """Processor time of a process; `with_children` adds that of the children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    used = int(fields[11]) + int(fields[12])
    if with_children:
        used += int(fields[13]) + int(fields[14])
    return used / TICKS


def children(pid: int) -> list[int]:
    """The processes that `pid` has started and that still run."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Postmaster:
    """The processor time of a whole PostgreSQL, also of backends that have ended."""

    def __init__(self, cluster: postgres.Cluster) -> None:
        self._pid = int((cluster.home / "data" / "postmaster.pid").read_text().splitlines()[0])

    def seconds(self) -> float:
        total = cpu_seconds(self._pid, with_children=True)
        for child in children(self._pid):
            try:
                total += cpu_seconds(child)
            except FileNotFoundError:
                continue
        return total


def declare(database: Database, objects: int) -> None:
    """Contracts of 500 objects each, all active from April."""
    contracts = -(-objects // OBJECTS_A_CONTRACT)
    lines = "".join(
        f"  - {{name: Contract {n}, customer: FLEET, starts_on: 2022-01-01, subscriptions: [Usage]}}\n"
        for n in range(contracts)
    )
    with database.transaction() as session:
        catalogue.apply(session, catalogue.load(FLEET + lines), CREATED)
    for first in range(0, objects, OBJECTS_A_CONTRACT):
        rows = [
            NewObject(
                reference=f"OBJECT_{n:07d}",
                customer="FLEET",
                contract=f"Contract {first // OBJECTS_A_CONTRACT}",
                subscription="Usage",
                activate=True,
                starts_on=MONTH,
            )
            for n in range(first, min(first + OBJECTS_A_CONTRACT, objects))
        ]
        with database.transaction() as session:
            outcomes = create_objects(session, rows, "pending", CREATED, "cli")
        assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    with database.transaction() as session:
        partitions.split(session, MONTH)


def made(objects: int, count: int) -> list[bytes]:
    """A message with an id of 12 characters from each object in turn, as packets."""
    pieces = []
    for number in range(count):
        at = START_MILLIS + number // objects * MINUTE_MILLIS + number % objects
        body = {"id": f"{number:012d}", "ts": at, "metrics": {"usage": number % 997}}
        pieces.append(packet(number, f"devices/OBJECT_{number % objects:07d}/telemetry", json.dumps(body).encode()))
    return pieces


def publish(broker: Broker, pieces: list[bytes], rate: float) -> None:
    """Send `rate` packets a second until the broker has them all."""
    publisher = Publisher(broker)
    publisher.send_evenly(pieces, rate, time.time())
    publisher.flushed()
    publisher.close()


def session_kibibytes(broker: Broker, count: int) -> float:
    """What a connected object takes of the broker's memory."""
    assert broker.process is not None
    before = resident_mebibytes(broker.process.pid)
    sockets = []
    for number in range(count):
        one = socket.create_connection(("127.0.0.1", broker.port))
        sockets.append(one)
        one.sendall(
            packets.connect(
                five=False,
                client_id=f"object-{number:07d}",
                user=BRIDGE,
                password=BRIDGE,
                keepalive_seconds=0,
                receive_window=100,
                maximum_packet_bytes=2**20,
            )
        )
        assert one.recv(4)[3:] == b"\x00", "the broker takes the connection"
        one.sendall(packets.subscribe(1, [f"devices/OBJECT_{number:07d}/state"], five=False))
        assert one.recv(5)[:1] == b"\x90", "and the subscription"
    taken = resident_mebibytes(broker.process.pid) - before
    for one in sockets:
        one.close()
    return 1024 * taken / count


@contextmanager
def gateway(env: dict[str, str], folder: Path, workers: int) -> Iterator[None]:
    """`metergate run --workers`, with what it says in a file."""
    with (folder / "gateway.log").open("w") as log:
        command = metergate("run", "--workers", str(workers))
        process = subprocess.Popen(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def at_work(database: Database) -> list[int]:
    with database.snapshot() as session:
        found = members.members(session, datetime.now(tz=UTC))
    return [member.pid for member in found if member.state == "at work"]


def stored(connection: "psycopg.Connection[tuple[Any, ...]]") -> int:
    (count,) = connection.execute("SELECT coalesce(sum(record_count), 0) FROM usage_rollup").fetchone() or (0,)
    return int(count)


def measure(folder: Path, *, objects: int, messages: int, rate: float, workers: int) -> Costs:
    """One run, from an empty database to a closed month."""
    (folder / "broker").mkdir(parents=True)
    with (
        postgres.cluster(durable=True) as cluster,
        brokers.mosquitto(folder / "broker", bridge=BRIDGE) as broker,
        psycopg.connect(f"{cluster.url}/postgres", autocommit=True) as connection,
    ):
        url = f"{cluster.url}/postgres"
        database, postmaster = Database(url), Postmaster(cluster)
        database.migrate()
        declare(database, objects)
        connection.execute("CHECKPOINT")
        env = os.environ | {"METERGATE_DATABASE_URL": url, "METERGATE_BROKER_URL": broker.url()}
        assert broker.process is not None
        session = session_kibibytes(broker, CONNECTED)
        pieces = made(objects, messages)
        with gateway(env, folder, workers):
            eventually(lambda: len(at_work(database)) == workers, "the workers", seconds=PATIENCE_SECONDS)
            pids = at_work(database)
            before = postmaster.seconds(), cpu_seconds(broker.process.pid), sum(cpu_seconds(pid) for pid in pids)
            wal = _wal(connection)
            began = time.monotonic()
            publish(broker, pieces, rate)
            eventually(lambda: stored(connection) == messages, "all are stored", seconds=PATIENCE_SECONDS)
            wall = time.monotonic() - began
            after = postmaster.seconds(), cpu_seconds(broker.process.pid), sum(cpu_seconds(pid) for pid in pids)
            wal = _wal(connection) - wal
            memory = max(peak_mebibytes(pid) for pid in pids)
        connection.execute("VACUUM FULL usage_rollup")  # without the old versions of rows that are updated often
        # As autovacuum does within a minute: a plan without statistics reads the whole fleet for each contract.
        connection.execute("ANALYZE")
        sizes = connection.execute(
            "SELECT pg_total_relation_size('usage_record_2022_04'), pg_total_relation_size('usage_rollup'), "
            "(SELECT count(*) FROM usage_rollup)"
        ).fetchone()
        assert sizes is not None
        closing = _close(env, folder, postmaster)
        database.dispose()
    per_message = [1e6 * (late - early) / messages for early, late in zip(before, after, strict=True)]
    return Costs(
        objects=objects,
        messages=messages,
        wall_messages_a_second=round(messages / wall),
        database_us_a_message=round(per_message[0], 1),
        broker_us_a_message=round(per_message[1], 1),
        broker_kibibytes_a_session=round(session, 1),
        ingest_us_a_message=round(per_message[2], 1),
        record_bytes=round(sizes[0] / messages, 1),
        rollup_row_bytes=round(sizes[1] / sizes[2], 1),
        wal_bytes_a_message=round(wal / messages, 1),
        worker_mebibytes=round(memory, 1),
        close_us_a_schedule=round(1e6 * closing[0] / objects, 1),
        close_database_us_a_schedule=round(1e6 * closing[1] / objects, 1),
        close_schedules_a_second=round(objects / closing[2]),
    )


def _close(env: dict[str, str], folder: Path, postmaster: Postmaster) -> tuple[float, float, float]:
    """Processor time of the closer and of the database, and wall time, without what starting the command takes."""
    spent = []
    for until in (*["2022-03-31"] * STARTS, "2022-04-30"):  # the first have nothing to do: the start-up alone
        own, theirs, began = os.times(), postmaster.seconds(), time.monotonic()
        subprocess.run(metergate("close", "--until", until), cwd=folder, env=env, check=True, capture_output=True)
        now = os.times()
        used = now.children_user + now.children_system - own.children_user - own.children_system
        spent.append((used, postmaster.seconds() - theirs, time.monotonic() - began))
    *empty, whole = spent
    started = [statistics.median(seconds) for seconds in zip(*empty, strict=True)]
    return whole[0] - started[0], whole[1] - started[1], whole[2] - started[2]


def _wal(connection: "psycopg.Connection[tuple[Any, ...]]") -> int:
    (position,) = connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone() or (0,)
    return int(position)


def plan(costs: Costs, *, objects: int, half: float = 0.5) -> dict[str, float]:
    """A fleet of one message a minute, with every processor at most `half` busy."""
    rate = objects / 60
    day = 86_400 * rate
    return {
        "messages a second": round(rate),
        "usage records a day, millions": round(day / 1e6),
        "broker cores": round(rate * costs.broker_us_a_message / 1e6 / half, 1),
        "broker memory for connections, GB": round(objects * costs.broker_kibibytes_a_session * 1024 / 1e9, 1),
        "ingest processes": -(-rate * costs.ingest_us_a_message // (1e6 * half)),
        "database cores for ingest": round(rate * costs.database_us_a_message / 1e6 / half, 1),
        "databases, each committing batch after batch": round(rate * costs.database_us_a_message / (1e6 * half), 2),
        "usage records, GB a day": round(day * costs.record_bytes / 1e9),
        "usage records, TB for 92 days": round(92 * day * costs.record_bytes / 1e12, 1),
        "rollup, GB a year": round(365 * objects * costs.rollup_row_bytes / 1e9),
        "write-ahead log, MB a second": round(rate * costs.wal_bytes_a_message / 1e6, 1),
        "close of a month, minutes with one closer": round(
            objects * (costs.close_us_a_schedule + costs.close_database_us_a_schedule) / 60e6, 1
        ),
    }


def table(sizes: list[list[Costs]], *, objects: int, command: str) -> str:
    """The measured part of the page, in Markdown; `sizes` has the rounds of each size, the last is reckoned from."""
    machine = f"{os.cpu_count()} cores, shared; Python {platform.python_version()}; median of {len(sizes[0])} rounds"
    runs = [typical(rounds) for rounds in sizes]
    lines = [
        f"Measured on {datetime.now(tz=UTC):%Y-%m-%d} with `{command}`: {machine} (lowest to highest).",
        "",
        "| Unit cost | " + " | ".join(f"{run.objects:,g} objects" for run in runs) + " |",
        "|---|" + "---|" * len(runs),
    ]
    found = [spreads(rounds) for rounds in sizes]
    for name in [name for name in found[0] if name not in {"objects", "messages"}]:
        cells = " | ".join(f"{it[name].value:,g} ({it[name].low:,g} to {it[name].high:,g})" for it in found)
        lines.append(f"| {name.replace('_us_', ' microseconds ').replace('_', ' ')} | {cells} |")
    head = f"| A fleet of {objects:,} objects, a message a minute | from {runs[-1].objects:,g} objects |"
    lines += ["", head, "|---|---|"]
    lines += [f"| {name} | {value:,} |" for name, value in plan(runs[-1], objects=objects).items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, nargs="+", default=[1000, 5000, 20000])
    parser.add_argument("--messages", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=5, help="of each size, in turn")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--fleet", type=int, default=1_000_000, help="the fleet to reckon for")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--write", type=Path, help="replace the measured part of this page")
    options = parser.parse_args()
    sizes: dict[int, list[Costs]] = {objects: [] for objects in options.objects}
    for _ in range(options.rounds):
        for objects, rounds in sizes.items():
            with tempfile.TemporaryDirectory(prefix="metergate-scale-") as folder:
                rounds.append(
                    measure(
                        Path(folder),
                        objects=objects,
                        messages=options.messages,
                        rate=options.fleet / 60,
                        workers=options.workers,
                    )
                )
    words = " ".join(str(objects) for objects in sizes)
    command = f"python -m benchmarks.scale --objects {words} --messages {options.messages} --rounds {options.rounds}"
    text = table(list(sizes.values()), objects=options.fleet, command=command)
    sys.stdout.write(f"{text}\n")
    if options.json:
        whole = {
            "runs": [asdict(each) for rounds in sizes.values() for each in rounds],
            "plan": plan(typical(list(sizes.values())[-1]), objects=options.fleet),
        }
        options.json.write_text(json.dumps(whole, indent=2))
    if options.write:
        page = options.write.read_text()
        start, end = "<!-- measured -->\n", "<!-- end of measured -->"
        head, _, rest = page.partition(start)
        options.write.write_text(f"{head}{start}{text}\n{end}{rest.partition(end)[2]}")


if __name__ == "__main__":
    main()
