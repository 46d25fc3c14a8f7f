"""The benchmark suite runs, at a size that says nothing about speed; and the page is what its results make of it."""

from pathlib import Path

import pytest

from benchmarks import close, figures, ingest, report
from tests import brokers
from tests.conftest import missing


@pytest.fixture(autouse=True)
def _broker() -> None:
    if brokers.binaries() is None:
        missing("Mosquitto", brokers.FIX)


def test_ingest_and_close_are_measured(tmp_path: Path) -> None:
    found = [*ingest.run(scale="small", rounds=1), *close.run(scale="small", rounds=1)]
    assert {figure.case for figure in found} == {"ingest", "close"}
    assert all(figure.value > 0 for figure in found)
    figures.save("ingest", "python -m benchmarks ingest", found, tmp_path)
    assert "draining a backlog, sqlite" in report.tables(tmp_path)


def test_the_page_is_what_the_results_make_of_it() -> None:
    text = report.PAGE.read_text()
    assert report.page(text, report.tables()) == text
