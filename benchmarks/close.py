"""The close of a month, against one aggregate query over the same usage records on the same database.

python -m benchmarks close [--scale small] [--rounds 5]
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from sqlalchemy import event, text

from benchmarks import stage
from benchmarks.figures import Figure, measure, ratio
from benchmarks.stage import START, Store
from billing.close import close
from storage.database import Database
from tests.brokers import ROOT

CASE = "close"
UNTIL = date(2026, 6, 30)
NOW = START + timedelta(days=40)
GROUP_BY = "SELECT object_id, metric_id, COUNT(*), SUM(quantity) FROM usage_record GROUP BY object_id, metric_id"
TRYTON_OBJECTS_A_SECOND = 35.0
"""Consumption, invoice and posting by Tryton 7.0 on a machine of this kind: see docs/performance.md."""


def child(url: str) -> dict[str, Any]:
    """One close in this process: its seconds, statements, rows and peak memory."""
    database = Database(url)
    counted = {"statements": 0}

    @event.listens_for(database.engine, "before_cursor_execute")
    def _count(*_: object) -> None:
        counted["statements"] += 1

    began = time.monotonic()
    report = close(database, UNTIL, NOW)
    seconds = time.monotonic() - began
    assert report.failures == (), report.failures
    with database.snapshot() as session:
        connection = session.connection()
        shares, schedules = (
            connection.execute(text(statement)).scalar_one()
            for statement in (
                "SELECT count(*) FROM line_share",
                "SELECT count(*) FROM invoicing_schedule WHERE status IN ('invoiced', 'settled')",
            )
        )
        boundaries = connection.execute(text("SELECT count(*) FROM boundary_value")).scalar_one()
    database.dispose()
    return {
        "seconds": seconds,
        "statements": counted["statements"],
        "rows": shares + schedules + boundaries,
        "schedules": schedules,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "invoices": len(report.invoices),
    }


def closed(url: str) -> dict[str, Any]:
    """One close in a process of its own, so that its memory is its own."""
    said = subprocess.run(
        [sys.executable, "-m", "benchmarks.close", "--child", url], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    found: dict[str, Any] = json.loads(said)
    return found


def aggregate(url: str) -> float:
    """Seconds of the one query."""
    database = Database(url)
    try:
        with database.snapshot() as session:
            began = time.monotonic()
            session.connection().execute(text(GROUP_BY)).all()
            return time.monotonic() - began
    finally:
        database.dispose()


def prepare(store: Store, items: int, records: int) -> str:
    """A fleet that is active since 1 June, with the usage of June; the name of the database."""
    name = f"fleet_{items}_{records}"
    url = store.create(name)
    stage.make_fleet(url, items, activate=True)
    stage.fill(url, records, items, first=START + timedelta(hours=1), seconds=29 * 86400)
    return name


def run(*, scale: str, rounds: int) -> Iterator[Figure]:
    """Every figure of the case."""
    sizes = ((1_000, 1_000_000), (10_000, 10_000_000), (100_000, 10_000_000)) if scale == "full" else ((200, 5_000),)
    for kind in ("sqlite", "postgresql") if scale == "full" else ("sqlite",):
        took: dict[int, float] = {}
        for items, records in sizes:
            with stage.store(kind) as store:
                name = prepare(store, items, records)
                queries, closes = [], []
                for _ in range(rounds):
                    url = store.create("round", name)
                    queries.append(aggregate(url))
                    closes.append(closed(url))
            seconds = [each["seconds"] for each in closes]
            took[items] = sorted(seconds)[len(seconds) // 2]
            what = f"close of {items:,} items over {records:,} records, {kind}"
            bounds: dict[str, float] = {"must": 2.0, "reach": 0.3} if items >= 10_000 else {}
            yield ratio(CASE, what, seconds, queries, against="one GROUP BY", unit="s", at_most=True, **bounds)
            last = closes[-1]
            yield measure(
                CASE, f"rows written per schedule, {what}", [last["rows"] / last["schedules"]], unit="rows",
                must=3, reach=2, detail=f"{last['statements']} statements, peak {last['peak']:.0f} MiB",
            )  # fmt: skip
            yield measure(
                CASE, f"objects a second, {what}", [items / each / TRYTON_OBJECTS_A_SECOND for each in seconds],
                unit="times Tryton's 35 objects/s", must=200 if items >= 10_000 else None,
                reach=1000, at_most=False, detail=f"{items / took[items]:,.0f} objects/s",
            )  # fmt: skip
        if len(took) > 1:
            yield measure(
                CASE, f"growth from 10,000 to 100,000 items, {kind}", [took[100_000] / took[10_000]],
                unit="times the time for ten times the items", must=12, detail="linear is 10 or less",
            )  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--child", required=True)
    print(json.dumps(child(parser.parse_args().child)))
