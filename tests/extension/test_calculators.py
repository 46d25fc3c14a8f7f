"""Calculators that others wrote: installed, declared, billed, versioned, and missing."""

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from billing.catalogue import CatalogueInvalid, apply, load
from billing.verify import differences, verify
from gateway.cli.main import main
from storage.database import Database
from tests import brokers
from tests.closing.fleet import USAGE, Fleet

APRIL, MAY = date(2022, 4, 30), date(2022, 5, 31)


def degree_days(version: str = "1", **keys: Any) -> dict[str, Any]:
    options = {"base": 16, "price": "0.25"}
    price = {
        "model": "calculator",
        "name": "degree_days",
        "version": version,
        "reads_records": True,
        "options": options,
    }
    calculator = {"metric": "usage", "price": price | keys}
    return {"name": "Heating", "type": "usage", "vat_rate": "20", "calculator": calculator}


@pytest.fixture
def sample(installed_sample: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sample package on the path of this process."""
    monkeypatch.syspath_prepend(str(installed_sample))
    return installed_sample


@pytest.mark.usefixtures("sample")
def test_each_version_goes_on_meaning_what_it_meant(database: Database) -> None:
    for version, lines in (("1", [("Degree days", 475)]), ("2", [("Base", 500), ("Degree days", 475)])):
        fleet = Fleet(database, charges=[degree_days(version)], contract=f"C{version}")
        fleet.activate(f"IOT_{version}", attributes={"boiler": "new"})
        fleet.uses(f"IOT_{version}", 4, "2022-04-17T10:00:00+00:00")
        fleet.uses(f"IOT_{version}", 9, "2022-04-18T10:00:00+00:00")
        fleet.uses(f"IOT_{version}", 20, "2022-04-19T10:00:00+00:00")
        (invoice,) = fleet.close(APRIL).invoices
        assert [(line.component, line.net_minor) for line in invoice.lines] == lines
        fleet.uses(f"IOT_{version}", 12, "2022-04-20T10:00:00+00:00")
        (may,) = fleet.close(MAY).invoices
        assert [(line.component, line.net_minor) for line in may.lines if line.adjustment] == [("Degree days", 100)]
    with database.snapshot() as session:
        assert differences(verify(session)) == []


def test_a_missing_calculator_fails_its_contract_and_others_are_closed(
    sqlite_database: Database, installed_sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heating = Fleet(sqlite_database, charges=[degree_days()], contract="Heating")
    plain = Fleet(sqlite_database, charges=[USAGE], contract="Plain")
    for fleet, reference in ((heating, "IOT_1"), (plain, "IOT_2")):
        fleet.activate(reference)
        fleet.uses(reference, 4, "2022-04-17T10:00:00+00:00")
    report = plain.close(APRIL)
    assert [invoice.net_minor for invoice in report.invoices] == [1000]
    (failure,) = report.failures
    assert failure.message == (
        "IOT_1, Heating, 2022-04-01 to 2022-04-30: calculator degree_days 1 is not installed, no version of it is; "
        "install the package that has it"
    )
    monkeypatch.syspath_prepend(str(installed_sample))
    assert [invoice.net_minor for invoice in plain.close(APRIL).invoices] == [300]


def problems(database: Database, charge: dict[str, Any]) -> str:
    """What applying a plan with the charge is refused for."""
    metric = {"name": "usage", "unit": "K", "kind": "delta"}
    text = json.dumps({"metrics": [metric], "plans": [{"name": "P", "charges": [charge]}]})
    try:
        with database.transaction() as session:
            apply(session, load(text), datetime(2022, 4, 1, tzinfo=UTC))
    except CatalogueInvalid as error:
        return str(error)
    return ""


def test_a_plan_names_calculators_that_are_installed_and_options_that_they_take(
    sqlite_database: Database, installed_sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = "plans[0].charges[0]: calculator degree_days"
    assert f"{place} 1 is not installed, no version of it is" in problems(sqlite_database, degree_days())
    monkeypatch.syspath_prepend(str(installed_sample))
    assert f"{place} 3 is not installed, installed is 1, 2" in problems(sqlite_database, degree_days("3"))
    wrong = degree_days(options={"base": "low"})
    assert f"{place} 1 does not take these options: base should be an" in problems(sqlite_database, wrong)
    assert f"{place} 1 needs reads_records: true" in problems(sqlite_database, degree_days(reads_records=False))
    assert problems(sqlite_database, degree_days()) == ""


def test_a_calculator_is_tried_with_the_price_command(tmp_path: Path, installed_sample: Path) -> None:
    """In a process of its own, which finds the package as any installed one."""
    (tmp_path / "charge.yaml").write_text(json.dumps(degree_days()))
    (tmp_path / "events.json").write_text(json.dumps([{"at": "2022-04-01", "value": 4}, {"at": 1, "value": "9.5"}]))
    words = ["--charge", str(tmp_path / "charge.yaml"), "--events", str(tmp_path / "events.json"), "--json"]
    tried = subprocess.run(
        [
            sys.executable,
            "-c",
            "from gateway.cli.main import main; main()",
            "price",
            *words,
            "--attribute",
            "boiler=old",
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(installed_sample)},
        cwd=brokers.ROOT,
        check=False,
    )
    assert tried.stderr == ""
    found = json.loads(tried.stdout)
    assert [(line["name"], line["amount"]) for line in found["lines"]] == [
        ("Degree days", "4.625"),
        ("Old boiler", "3"),
    ]


def test_the_price_command_says_what_is_not_installed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "charge.yaml").write_text(json.dumps(degree_days()))
    with pytest.raises(SystemExit) as ended:
        main(["price", "--charge", str(tmp_path / "charge.yaml"), "--quantity", "1"])
    assert ended.value.code == 1
    assert "calculator degree_days 1 is not installed" in capsys.readouterr().err
