"""Usage with properties, entered by hand and in bulk, and listed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli.main import main
from tests.rating.command import Command

CHARGE = {
    "name": "Usage",
    "type": "usage",
    "vat_rate": "20",
    "calculator": {"metric": "usage", "by": "zone", "price": {"model": "per_unit", "unit_price": "1"}},
}


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    with Command(tmp_path) as command:
        command.declare([CHARGE], starts_on="2022-04-01")
        command.objects([("O", "C", "P", "2022-04-01")])
        yield command


def listed(command: Command) -> list[dict[str, str]]:
    return [row["properties"] for row in json.loads(command.run("usage", "list", "O", "--json"))]


def test_a_file_has_a_column_for_each_property_and_an_empty_cell_says_nothing(command: Command) -> None:
    path = command.folder / "usage.csv"
    path.write_text(
        "object,metric,value,at,property:zone,property:tariff\n"
        "O,usage,3,2022-04-10T10:00:00Z,night,7\n"
        "O,usage,4,2022-04-11T10:00:00Z,,7\n"
        "O,usage,5,2022-04-12T10:00:00Z,,\n"
    )
    assert command.run("usage", "import", str(path)) == "3 added\n"
    assert command.run("usage", "import", str(path)) == "3 already there\n"
    assert listed(command) == [{"tariff": "7", "zone": "night"}, {"tariff": "7"}, {}]
    (invoice,) = command.close("2022-04-30")
    shown = json.loads(command.run("invoices", "show", invoice["number"], "--json"))
    assert [line["label"] for line in shown["lines"]] == ["P / Usage / zone: none", "P / Usage / zone: night"]


def test_properties_are_given_by_hand_and_shown_to_a_person(command: Command) -> None:
    at = ("--at", "2022-04-10T10:00:00Z")
    command.run("usage", "add", "O", "usage", "3", *at, "--property", "zone=night", "--property", "note=a=b")
    assert listed(command) == [{"note": "a=b", "zone": "night"}]
    assert "note=a=b zone=night" in command.run("usage", "list", "O")


@pytest.mark.parametrize(
    "given,said",
    [
        (["--property", "zone"], "should be NAME=VALUE"),
        (["--property", "=night"], "should be NAME=VALUE"),
        (["--property", "zone=a", "--property", "zone=b"], "a property is given twice"),
    ],
)
def test_a_property_that_is_not_understood_is_refused(
    command: Command, capsys: pytest.CaptureFixture[str], given: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["usage", "add", "O", "usage", "3", "--at", "2022-04-10T10:00:00Z", *given])
    assert ended.value.code == 1
    assert said in capsys.readouterr().err
    assert listed(command) == []


@pytest.mark.parametrize(
    "value", ["many", "1e999", "1e999999999", "-1e-999999999", "NaN", "Infinity", "1_000", "\uff15", "9" * 131]
)
def test_a_value_that_is_no_number_is_refused_before_it_is_written_out(
    command: Command, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["usage", "add", "O", "usage", "--at", "2022-04-10T10:00:00Z", "--", value])
    assert ended.value.code == 1
    assert "is not a number" in capsys.readouterr().err
    assert listed(command) == []
    assert json.loads(command.run("quarantine", "list", "--json")) == []
