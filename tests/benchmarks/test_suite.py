"""The benchmark suite runs, at a size that says nothing about speed; and the page is what its results make of it."""

import json
from pathlib import Path

import pytest

from benchmarks import backlog, close, extraction, figures, ingest, report, stage
from storage import usage
from storage.database import Database
from tests import brokers, postgres
from tests.conftest import missing


@pytest.fixture(autouse=True)
def _broker() -> None:
    if brokers.binaries() is None:
        missing("Mosquitto", brokers.FIX)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_the_close_is_measured_on_is_what_ingest_writes(kind: str) -> None:
    if kind == "postgresql" and postgres.binaries() is None:
        missing("PostgreSQL", postgres.FIX)
    with stage.store(kind) as store:
        url = store.create("closed", close.prepare(store, 5, 400))
        database = Database(url)
        with database.snapshot() as session:
            assert usage.rollup_differences(session) == []
        database.dispose()
        # A schedule and its share each, and the month, contract, number, invoice with its line and VAT.
        assert close.closed(url)["rows"] in range(10, 20)


def test_tryton_is_the_measured_one_where_the_peers_were_measured(tmp_path: Path) -> None:
    assert close.tryton_speed(tmp_path) == (close.TRYTON_ELSEWHERE, "measured elsewhere")
    figures.save("peers", "", [figures.measure("peers", close.TRYTON, [31.0, 33.0, 40.0], unit="objects/s")], tmp_path)
    assert close.tryton_speed(tmp_path) == (33.0, "measured by the peers case")


def test_the_close_on_the_page_is_held_against_the_tryton_on_the_page() -> None:
    speed, source = close.tryton_speed()
    rows = json.loads((figures.RESULTS / "close.json").read_text())["figures"]
    units = {row["against"] for row in rows if row["name"].startswith("objects a second")}
    assert units == {f"times Tryton's {speed:.0f} objects/s ({source})"}


def test_growth_is_the_median_of_the_rounds_with_its_spread() -> None:
    seconds = {(items, records): [1.0, 2.0, 4.0] for items in close.ITEMS for records in close.RECORDS}
    seconds[close.ITEMS[-1], close.RECORDS[-1]] = [9.0, 10.0, 88.0]
    found = {figure.name: figure for figure in close.growth("sqlite", seconds)}
    growth = found["growth from 10,000 to 100,000 items over 10,000,000 records, sqlite"]
    assert (growth.value, growth.low, growth.high, growth.rounds) == (9.0, 5.0, 22.0, 3)


def test_ingest_close_memory_and_extraction_are_measured(tmp_path: Path) -> None:
    found = [figure for case in (ingest, close, backlog) for figure in case.run(scale="small", rounds=1)]
    found += extraction.figures(200, 1, ordered=False)
    assert {figure.case for figure in found} == {"ingest", "close", "backlog", "extraction"}
    assert all(figure.value > 0 for figure in found)
    figures.save("ingest", "python -m benchmarks ingest", found, tmp_path)
    assert "draining a backlog, sqlite" in report.tables(tmp_path)


def test_the_page_is_what_the_results_make_of_it() -> None:
    text = report.PAGE.read_text()
    assert report.page(text, report.tables()) == text
