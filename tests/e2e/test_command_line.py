"""The installed `metergate` with bad input: one sentence that says where, the right exit status, nothing written."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.brokers import ROOT

FLEET = ROOT / "docs" / "fleet.yaml"
ROWS = """reference,activate,starts_on,customer,contract,subscription
IOT_A,yes,2022-04-01,FLEET,IOT Fleet Contract,Premium Fleet Subscription
IOT_B,yes,2022-99-01,FLEET,IOT Fleet Contract,Premium Fleet Subscription
IOT_C,no,,NOBODY,,
"""
Metergate = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def metergate(tmp_path: Path) -> Metergate:
    """Run the command in the test's folder, on a database of its own; it never shows a traceback."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("METERGATE_")}
    environment["METERGATE_DATABASE_URL"] = f"sqlite:///{tmp_path / 'metergate.db'}"
    command = str(Path(sys.executable).parent / "metergate")

    def run(*arguments: str, status: int = 0) -> "subprocess.CompletedProcess[str]":
        ran = subprocess.run(
            [command, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in ran.stdout + ran.stderr, ran.stderr
        assert ran.returncode == status, ran.stdout + ran.stderr
        return ran

    return run


@pytest.mark.parametrize(
    "arguments, status, sentence",
    [
        ("close --until 2022-04-31", 2, "'2022-04-31' is not a date; write it as 2022-04-30"),
        ("close --until 9999-12-31", 2, "9999-12-31 is further than the calendar is kept"),
        ("objects activate IOT_X --starts-on soon", 2, "'soon' is not a date; write it as 2022-04-01"),
        ("usage list IOT_X --since soon", 1, "'soon' is not an instant; write 2022-04-14T10:00:00+02:00"),
        ("usage add IOT_X usage many --at 2022-04-14T10:00:00Z", 1, "the value 'many' is not a number"),
        ("invoices show INV/2022/04/0001", 1, "no invoice has the number INV/2022/04/0001"),
        ("invoices explain INV/2022/04/0001", 1, "no invoice has the number INV/2022/04/0001"),
        ("invoices export INV/2022/04/0001 --format csv", 1, "no invoice has the number INV/2022/04/0001"),
        ("objects show IOT_X", 1, "no object is called 'IOT_X'"),
        ("quarantine show 99999999999999999999", 2, "99999999999999999999 is not in the range"),
    ],
)
def test_bad_input_gets_one_sentence(metergate: Metergate, arguments: str, status: int, sentence: str) -> None:
    ran = metergate(*arguments.split(), status=status)
    assert sentence in ran.stderr
    assert ran.stdout == ""


def test_an_invalid_catalogue_names_file_line_and_place_and_writes_nothing(
    metergate: Metergate, tmp_path: Path
) -> None:
    (tmp_path / "bad.yaml").write_text(FLEET.read_text().replace('"2.50"', "dear"))
    ran = metergate("apply", "bad.yaml", status=1)
    assert ran.stderr.startswith(
        "bad.yaml:17: plans[0].charges[0].calculator.price.unit_price: 'dear' should be a text or an integer"
    )
    assert "nothing was changed" in ran.stderr
    changes = json.loads(metergate("apply", str(FLEET), "--json").stdout)
    assert {it["change"] for it in changes} == {"created"}


def test_an_import_names_the_line_of_each_bad_row(metergate: Metergate, tmp_path: Path) -> None:
    (tmp_path / "fleet.csv").write_text(ROWS)
    metergate("apply", str(FLEET))
    ran = metergate("objects", "import", "fleet.csv", "--all-or-nothing", status=1)
    assert "nothing was kept, 2 refused" in ran.stdout
    assert _listed(metergate) == []
    ran = metergate("objects", "import", "fleet.csv", status=1)
    first, second = ran.stderr.splitlines()
    assert first == "fleet.csv:3: starts_on is '2022-99-01', which is not a date; write it as 2022-04-01"
    assert second.startswith("fleet.csv:4: customer 'NOBODY' is not declared")
    assert _listed(metergate) == ["IOT_A"]


def test_a_fleet_with_a_column_twice_is_refused(metergate: Metergate, tmp_path: Path) -> None:
    (tmp_path / "twice.csv").write_text("reference,site,site\nIOT_A,Lyon,Nice\n")
    assert "has the column 'site' twice" in metergate("objects", "import", "twice.csv", status=2).stderr
    (tmp_path / "latin.csv").write_bytes(b"reference,\xe9\nIOT_A,x\n")
    assert "latin.csv: line " in metergate("objects", "import", "latin.csv", status=2).stderr


def test_bad_rows_of_usage_are_named_and_the_others_are_kept(metergate: Metergate, tmp_path: Path) -> None:
    (tmp_path / "fleet.csv").write_text("\n".join(ROWS.splitlines()[:2]))
    metergate("apply", str(FLEET))
    metergate("objects", "import", "fleet.csv")
    good = "object,metric,value,at\nIOT_A,usage,12,2022-04-14T10:00:00Z\n"
    (tmp_path / "usage.csv").write_text(f"{good}IOT_A,usage,x,2022-04-15T10:00:00Z\nIOT_A,usage\n")
    ran = metergate("usage", "import", "usage.csv", status=1)
    assert ran.stderr.splitlines() == [
        "usage.csv:3: the value 'x' is not a number",
        "usage.csv:4: the row has another number of cells than the first line",
    ]
    (tmp_path / "torn.csv").write_text(f'{good}IOT_A,usage,1,"2022')
    assert "torn.csv, after line 2: " in metergate("usage", "import", "torn.csv", status=2).stderr
    (record,) = _json(metergate, "usage", "list", "IOT_A")
    assert record["value"] == "12"


def test_json_output_parses(metergate: Metergate, tmp_path: Path) -> None:
    (tmp_path / "fleet.csv").write_text("\n".join(ROWS.splitlines()[:2]))
    _json(metergate, "apply", str(FLEET))
    metergate("objects", "import", "fleet.csv")
    metergate("usage", "add", "IOT_A", "usage", "12", "--at", "2022-04-14T10:00:00+02:00")
    assert _json(metergate, "objects", "show", "IOT_A")["status"] == "active"
    (closed,) = _json(metergate, "close", "--until", "2022-04-30")["invoices"]
    assert (closed["number"], closed["total"]) == ("INV/2022/04/0001", "36.00")
    (listed,) = _json(metergate, "invoices", "list")
    assert listed == closed | {"paid": "0.00", "credited": "0.00", "due": "36.00", "state": "overdue"}
    pay = ("invoices", "pay", closed["number"], "--amount", "36.00", "--reference", "bank-1")
    assert _json(metergate, *pay) == _json(metergate, *pay)
    assert _json(metergate, "invoices", "show", closed["number"])["state"] == "paid"
    assert _json(metergate, "invoices", "show", closed["number"])["lines"][0]["quantity"] == "12"
    assert _json(metergate, "invoices", "explain", closed["number"])[0]["net"] == "30.00"
    assert _json(metergate, "quarantine", "list") == []


def _json(metergate: Metergate, *arguments: str) -> Any:
    return json.loads(metergate(*arguments, "--json").stdout)


def _listed(metergate: Metergate) -> list[str]:
    return [it["reference"] for it in _json(metergate, "objects", "list")]
