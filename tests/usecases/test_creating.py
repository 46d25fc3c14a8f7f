"""Objects by hand and as a file, with the terms of their service."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from billing.core.errors import Invalid
from billing.importing import read
from tests.rating.command import Command

FEE = {"name": "Fee", "type": "recurring", "amount": "30", "vat_rate": "20"}
PLACE = ("--customer", "SOMEBODY", "--contract", "C", "--subscription", "P", "--starts-on", "2022-04-01")


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    with Command(tmp_path, clock="2022-04-01T10:00:00Z") as command:
        command.declare([FEE], starts_on="2022-04-01")
        yield command


def last_day(command: Command, reference: str) -> str:
    (item,) = json.loads(command.run("objects", "show", reference, "--json"))["contract_items"]
    return str(item["ends_on"])


def test_the_terms_of_a_renewal_are_given_by_hand_and_in_a_file(command: Command) -> None:
    terms = ("--term-months", "1", "--renewal", "automatic", "--notice-days", "10")
    command.run("objects", "create", "BY_HAND", "--activate", *PLACE, *terms)
    (command.folder / "fleet.csv").write_text(
        "reference,contract,subscription,starts_on,activate,term_months,renewal,notice_days\n"
        "RENEWS,C,P,2022-04-01,yes,1,automatic,10\n"
        "ENDS,C,P,2022-04-01,yes,1,,\n"
    )
    command.run("objects", "import", str(command.folder / "fleet.csv"))
    command.at("2022-04-25T10:00:00Z")
    for reference in ("BY_HAND", "RENEWS"):
        command.run("objects", "no-renew", reference)  # later than ten days before the end: it holds for the next one
    command.at("2022-05-02T10:00:00Z")
    command.close("2022-04-30")
    assert [last_day(command, it) for it in ("BY_HAND", "RENEWS", "ENDS")] == ["2022-05-31", "2022-05-31", "2022-04-30"]


@pytest.mark.parametrize(
    "cell,said",
    [
        ("renewal,maybe", "renewal is 'maybe'"),
        ("notice_days,soon", "notice_days is 'soon'"),
        ("term_months,1.5", "1.5"),
    ],
)
def test_a_term_that_is_not_understood_is_named(command: Command, cell: str, said: str) -> None:
    name, value = cell.split(",")
    row = f"X,C,P,2022-04-01,yes,{value}"
    path = command.folder / "fleet.csv"
    path.write_text(f"reference,contract,subscription,starts_on,activate,{name}\n{row}\n")
    with pytest.raises(AssertionError, match=said):
        command.run("objects", "import", str(path))


def test_a_column_twice_is_refused() -> None:
    with pytest.raises(Invalid, match="'site' twice"):
        read(["reference,site,site\n", "X,Lyon,Nice\n"])
