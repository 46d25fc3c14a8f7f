"""The close of a month, against one aggregate query over the same usage records on the same database.

The fleet is in Europe/Paris, so that its month begins and ends inside a UTC day, and its month before was closed, so
that the close looks for late usage as every close but the first does.

python -m benchmarks close [--scale small] [--rounds 5]
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import text

from benchmarks import figures, stage
from benchmarks.close_once import AGAIN, NOW
from benchmarks.figures import Figure, measure, ratio
from benchmarks.stage import Store
from billing.close import close
from storage.database import Database
from tests.brokers import ROOT

CASE = "close"
SINCE = date(2026, 5, 1)
BEFORE, UNTIL = date(2026, 5, 31), date(2026, 6, 30)
MAY = datetime(2026, 4, 30, 22, tzinfo=UTC)
USES_IN_MAY = 5
JUNE = datetime(2026, 5, 31, 22, tzinfo=UTC)
"""Midnight of 1 June in Europe/Paris."""
JUNE_SECONDS = 30 * 86400
GROUP_BY = "SELECT object_id, metric_id, COUNT(*), SUM(quantity) FROM usage_record GROUP BY object_id, metric_id"
ITEMS, RECORDS = (1_000, 10_000, 100_000), (1_000_000, 10_000_000)
JUDGED_FROM = 10_000
"""Smaller closes are over before the start of a process shows; they have no bound."""
TRYTON_ELSEWHERE = 35.0
"""Objects a second by Tryton 7.0, consumption, invoice and posting, where `peers` was not measured."""
TRYTON = "Tryton 7.0: consumption, invoice, posting"
PATIENCE_SECONDS = 30.0


def closed(url: str, *, again: bool = False) -> dict[str, Any]:
    """One close in a process of its own, so that its memory is its own, with the rows that the database counted.

    `again` in one that has closed before.
    """
    server = None if url.startswith("sqlite") else url
    before = 0 if server is None else _written(server)
    said = subprocess.run(
        [sys.executable, "-m", "benchmarks.close_once", url, UNTIL.isoformat(), *([AGAIN] if again else [])],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found: dict[str, Any] = json.loads(said)
    if server is not None:
        found["rows"] = _written(server) - before
    return found


def _written(url: str) -> int:
    """Rows inserted, updated and deleted in a PostgreSQL database, once all that wrote to it have left."""
    alone = "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND backend_type LIKE 'cl%'"
    with psycopg.connect(url, autocommit=True) as connection:
        stage.wait(lambda: bool(_scalar(connection, alone)), "all that wrote have left", seconds=PATIENCE_SECONDS)
        return int(_scalar(connection, "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables"))


def _scalar(connection: psycopg.Connection[Any], statement: str) -> Any:
    row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row[0]


# --- what it works on -----------------------------------------------------------------------------------------


def prepare(store: Store, items: int, records: int) -> str:
    """A fleet with a closed month behind it and the usage of June before it; the name of the database."""
    base, name = f"fleet_{items}", f"fleet_{items}_{records}"
    if base not in store.made:
        url = store.create(base)
        stage.make_fleet(url, items, active_since=SINCE)
        stage.fill(url, items * USES_IN_MAY, items, first=MAY, seconds=31 * 86400)
        with closing(_Disposed(url)) as opened:
            report = close(opened.database, BEFORE, NOW)
        assert report.failures == (), report.failures
        assert len(report.invoices) == 1, report.invoices
    url = store.create(name, base)
    stage.fill(url, records, items, first=JUNE, seconds=JUNE_SECONDS, batch=2)
    return name


class _Disposed:
    """A database that is disposed of when it is closed."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)

    def close(self) -> None:
        self.database.dispose()


def aggregate(url: str) -> float:
    """Seconds of the one query."""
    with closing(_Disposed(url)) as opened, opened.database.snapshot() as session:
        began = time.monotonic()
        session.connection().execute(text(GROUP_BY)).all()
        return time.monotonic() - began


# --- the figures ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Rounds:
    """What was measured of one size, round by round."""

    items: int
    records: int
    queries: list[float]
    closes: list[dict[str, Any]]

    def of(self, name: str) -> list[float]:
        """One measure of each round."""
        return [float(each[name]) for each in self.closes]

    def seconds(self) -> float:
        """The median close."""
        return statistics.median(self.of("seconds"))


def run(*, scale: str, rounds: int) -> Iterator[Figure]:
    """Every figure of the case."""
    sizes = [(items, records) for records in RECORDS for items in ITEMS] if scale == "full" else [(200, 5_000)]
    tryton, source = tryton_speed()
    for kind in ("sqlite", "postgresql") if scale == "full" else ("sqlite",):
        with stage.store(kind) as store:
            found = {}
            for items, records in sizes:
                found[items, records] = measured(store, items, records, rounds)
                yield from _figures(kind, found[items, records], tryton, source)
        if scale == "full":
            yield from growth(kind, {size: each.of("seconds") for size, each in found.items()})


def measured(store: Store, items: int, records: int, rounds: int) -> Rounds:
    """The query and the close in turn, each round on a copy of its own."""
    name = prepare(store, items, records)
    found = Rounds(items, records, [], [])
    for _ in range(rounds):
        url = store.create("round", name)
        found.queries.append(aggregate(url))
        found.closes.append(closed(url))
    for left in ("round", name):
        store.drop(left)
    return found


def _figures(kind: str, found: Rounds, tryton: float, source: str) -> Iterator[Figure]:
    what = f"close of {found.items:,} items over {found.records:,} records, {kind}"
    judged = found.items >= JUDGED_FROM
    bounds: dict[str, float] = {"must": 2.0, "reach": 0.3} if judged and found.records == RECORDS[-1] else {}
    yield ratio(
        CASE, what, found.of("seconds"), found.queries, against="one GROUP BY", unit="s", at_most=True, **bounds
    )
    written = [rows / found.items for rows in found.of("rows")]
    yield measure(
        CASE, f"rows written per schedule, {what}", written, unit="rows", must=3 if judged else None,
        reach=2 if judged else None, detail=f"{found.closes[-1]['statements']} statements",
    )  # fmt: skip
    yield measure(
        CASE, f"peak memory, {what}", found.of("peak"), unit="MiB",
        detail=f"{statistics.median(found.of('idle')):.0f} MiB before the close began; "
        f"{statistics.median(found.of('processor')):.2f} s of processor time",
    )  # fmt: skip
    yield measure(
        CASE, f"objects a second, {what}", [found.items / each / tryton for each in found.of("seconds")],
        unit=f"times Tryton's {tryton:.0f} objects/s ({source})", must=200 if judged else None,
        reach=1000 if judged else None, at_most=False, detail=f"{found.items / found.seconds():,.0f} objects/s",
    )  # fmt: skip


def growth(kind: str, seconds: dict[tuple[int, int], list[float]]) -> Iterator[Figure]:
    """The median of the rounds' ratios: the nth close of the larger size by the nth of the smaller."""
    most = RECORDS[-1]

    def times(larger: tuple[int, int], smaller: tuple[int, int]) -> list[float]:
        return [more / less for more, less in zip(seconds[larger], seconds[smaller], strict=True)]

    for few, many in ((1_000, 10_000), (10_000, 100_000)):
        yield measure(
            CASE, f"growth from {few:,} to {many:,} items over {most:,} records, {kind}",
            times((many, most), (few, most)), unit="times the time for ten times the items", must=12,
            detail="linear is 10 or less",
        )  # fmt: skip
    for items in ITEMS:
        yield measure(
            CASE, f"growth from 1,000,000 to 10,000,000 records for {items:,} items, {kind}",
            times((items, most), (items, RECORDS[0])), unit="times the time for ten times the records",
            must=12, detail="linear is 10 or less",
        )  # fmt: skip


def tryton_speed(folder: Path = figures.RESULTS) -> tuple[float, str]:
    """Tryton's objects a second, and where that is from: the measured peers when they were measured."""
    path = folder / "peers.json"
    if path.exists():
        for row in json.loads(path.read_text())["figures"]:
            if row["name"] == TRYTON and row["rounds"]:
                return float(row["value"]), "measured by the peers case"
    return TRYTON_ELSEWHERE, "measured elsewhere"
