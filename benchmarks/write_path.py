"""Microseconds a message from received bytes to committed rows, without a broker; see `--help`.

python benchmarks/write_path.py                     # SQLite in a temporary folder
python benchmarks/write_path.py --postgres          # a throw-away PostgreSQL with fsync on
python benchmarks/write_path.py --present 10000000  # with that many usage records there already
python benchmarks/write_path.py --profile           # where the time goes, by function
"""

import argparse
import cProfile
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from config.settings import Settings
from gateway.ingest import ingest_batch
from gateway.message import Message, Rules
from gateway.quick_telemetry import decode_quickly
from storage.database import Database
from storage.tables import ConnectedObject, Metric
from storage.types import DAY_MICROS, to_micros
from tests import postgres

START = datetime(2022, 4, 14, 10, tzinfo=UTC)
METRICS = ("usage", "energy", "level")


@contextmanager
def databases(*, on_postgres: bool) -> Iterator[str]:
    """The URL of an empty database that syncs to the disk, as in production."""
    if on_postgres:
        with postgres.cluster(durable=True) as cluster:
            yield f"{cluster.url}/postgres"
    else:
        with tempfile.TemporaryDirectory(prefix="metergate-bench-") as folder:
            yield f"sqlite:///{folder}/metergate.db"


def seed(database: Database, objects: int) -> None:
    """Objects and metrics, as a catalogue would make them."""
    with database.transaction() as session:
        for name, kind in zip(METRICS, ("delta", "cumulative", "gauge"), strict=True):
            session.add(Metric(name=name, unit="unit", kind=kind, decimals=6))
        session.flush()
        session.add_all(
            ConnectedObject(reference=f"IOT_NS{number:06}", status="active", created_at=START)
            for number in range(objects)
        )


def fill(database: Database, records: int, objects: int) -> None:
    """`records` usage records before START, with their rollup, by two statements of SQL."""
    start, step = to_micros(START) - 30 * DAY_MICROS, 30 * DAY_MICROS // max(records, 1)
    series = (
        f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {records})"
        if database.is_sqlite
        else f"WITH n AS (SELECT generate_series(0, {records - 1})::bigint AS i)"
    )
    with database.transaction() as session:
        connection = session.connection()
        connection.exec_driver_sql(
            "INSERT INTO usage_record (occurred_at, object_id, metric_id, discriminator, quantity, received_at, batch, "
            f"origin, unkeyed) {series} SELECT {start} + i * {step}, 1 + i - i / {objects} * {objects}, "
            f"1, '', 12500000, {start} + i * {step}, 0, 'mqtt', 0 FROM n"
        )
        connection.exec_driver_sql(
            "INSERT INTO usage_rollup (object_id, metric_id, day, record_count, quantity_sum, quantity_max, "
            "quantity_min, first_at, first_quantity, last_at, last_quantity, batch) "
            f"SELECT object_id, metric_id, occurred_at / {DAY_MICROS}, count(*), sum(quantity), max(quantity), "
            "min(quantity), min(occurred_at), 12500000, max(occurred_at), 12500000, 0 "
            "FROM usage_record GROUP BY 1, 2, 3"
        )
        connection.exec_driver_sql("INSERT INTO usage_day (day, batch) SELECT DISTINCT day, 0 FROM usage_rollup")
    if not database.is_sqlite:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def messages(count: int, *, first: int, objects: int, metrics: int) -> list[Message]:
    """Live telemetry of a fleet: every object in turn, each message with an id and its own time."""
    made = []
    for number in range(first, first + count):
        at = START + timedelta(milliseconds=number)
        values = ", ".join(f'"{name}": {number % 977}.{number % 10}25' for name in METRICS[:metrics])
        payload = (
            f'{{"id": "{number:08x}-5f1c-4d5e-9b7a-1c2d3e4f5a6b", '
            f'"ts": "{at.strftime("%Y-%m-%dT%H:%M:%S")}.{at.microsecond // 1000:03}Z", "metrics": {{{values}}}}}'
        )
        topic = f"devices/IOT_NS{number * 7919 % objects:06}/telemetry"
        made.append(Message(topic=topic, payload=payload.encode(), received_at=at + timedelta(milliseconds=20)))
    return made


def run(arguments: argparse.Namespace, url: str) -> None:
    database, rules = Database(url), Rules.of(Settings())
    database.migrate()
    seed(database, arguments.objects)
    if arguments.present:
        began = time.perf_counter()
        fill(database, arguments.present, arguments.objects)
        print(f"{arguments.present:,} records made in {time.perf_counter() - began:.1f} s")
    limit = rules.payload_limit_bytes
    profile = cProfile.Profile() if arguments.profile else None
    writing, decoding = [], []
    for turn in range(arguments.rounds):
        first = turn * arguments.messages
        fleet = messages(arguments.messages, first=first, objects=arguments.objects, metrics=arguments.metrics)
        began = time.perf_counter()
        for message in fleet:
            decode_quickly(message.payload, limit_bytes=limit)
        decoding.append((time.perf_counter() - began) / len(fleet) * 1e6)
        began = time.perf_counter()
        if profile:
            profile.enable()
        for start in range(0, len(fleet), arguments.batch):
            batch = fleet[start : start + arguments.batch]
            applied = ingest_batch(database, batch, rules, now=START)
            assert applied.records == len(batch) * arguments.metrics, applied
        if profile:
            profile.disable()
        writing.append((time.perf_counter() - began) / len(fleet) * 1e6)
    if profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(35)
    size = len(fleet[0].payload)
    for name, figures in (("decoding alone", decoding), ("bytes to commit", writing)):
        middle = statistics.median(figures)
        print(
            f"{name:16} {middle:6.2f} us a message ({len(figures)} rounds: {min(figures):.2f} to {max(figures):.2f}), "
            f"{1e6 / middle:,.0f} msg/s"
        )
    print(
        f"{'SQLite' if database.is_sqlite else 'PostgreSQL'}, {arguments.present:,} records present, {size} bytes, "
        f"{arguments.metrics} metric(s), {arguments.objects:,} objects, batches of {arguments.batch:,}"
    )
    database.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--present", type=int, default=0, help="usage records there already")
    parser.add_argument("--messages", type=int, default=50_000, help="messages of one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=1_000, help="messages of one transaction")
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--metrics", type=int, default=1, choices=range(1, len(METRICS) + 1), help="values a message")
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    with databases(on_postgres=arguments.postgres) as url:
        run(arguments, url)


if __name__ == "__main__":
    main()
