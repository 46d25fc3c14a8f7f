"""Extractions: typed cells, harmless text, and detail that adds up."""

import csv
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import openpyxl
import pytest

from gateway.cells import decimal_of, neutralised
from gateway.extraction import export_invoice
from storage.database import Database
from storage.invoices import UnknownInvoice
from tests.closing.fleet import Fleet

NUMBER = "INV/2022/04/0001"


@pytest.fixture
def fleet(sqlite_database: Database) -> Fleet:
    it = Fleet(sqlite_database)
    for reference in ("=CMD", "IOT_2"):
        it.activate(reference)
        it.uses(reference, 12, "2022-04-14T10:00:00Z")
        it.uses(reference, 1, "2022-04-15T10:00:00Z", "-1+1")
    it.close(date(2022, 4, 30))
    return it


def test_csv_detail_adds_up_to_the_invoice(fleet: Fleet, tmp_path: Path) -> None:
    target = tmp_path / "detail.csv"
    with fleet.database.snapshot() as session:
        assert export_invoice(session, NUMBER, target, "csv") == 2

    assert target.read_bytes().count(b"\r\n") == 3
    with target.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert sorted(row["object"] for row in rows) == ["'=CMD", "IOT_2"]
    assert sum(Decimal(row["net_amount"]) for row in rows) == Decimal("65.00")
    assert {(row["period_starts_on"], row["period_last_day"]) for row in rows} == {("2022-04-01", "2022-04-30")}


def test_usage_level_has_a_row_a_record(fleet: Fleet, tmp_path: Path) -> None:
    target = tmp_path / "usage.csv"
    with fleet.database.snapshot() as session:
        assert export_invoice(session, NUMBER, target, "csv", "usage") == 4
    with target.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["quantity"] for row in rows if row["object"] == "IOT_2"] == ["12", "1"]
    assert {row["discriminator"] for row in rows} == {"", "'-1+1"}


def test_workbook_has_typed_cells_and_frozen_headers(fleet: Fleet, tmp_path: Path) -> None:
    target = tmp_path / "detail.xlsx"
    with fleet.database.snapshot() as session:
        assert export_invoice(session, NUMBER, target, "xlsx") == 2

    workbook = openpyxl.load_workbook(target)
    assert workbook.sheetnames == ["Lines", "Detail"]
    assert {workbook[name].freeze_panes for name in workbook.sheetnames} == {"A2"}
    lines, detail = workbook["Lines"], workbook["Detail"]
    assert (lines["C2"].value, lines["F2"].value, lines["I2"].value) == (datetime(2022, 4, 1), 26, 65)  # noqa: DTZ001 - a cell has no zone
    assert sorted(str(detail.cell(row=row, column=3).value) for row in (2, 3)) == ["'=CMD", "IOT_2"]
    assert all(cell.data_type != "f" for row in detail.iter_rows() for cell in row)


def test_an_unknown_number_writes_no_file(fleet: Fleet, tmp_path: Path) -> None:
    target = tmp_path / "none.csv"
    with fleet.database.snapshot() as session, pytest.raises(UnknownInvoice, match="INV/1999"):
        export_invoice(session, "INV/1999/01/0001", target, "csv")
    assert not target.exists()


@pytest.mark.parametrize(
    "value,shown",
    [
        (Fraction(30), "30"),
        (Fraction(1200), "1200"),
        (Fraction(5, 2), "2.5"),
        (Fraction(1, 3), "0.333333333333"),
        (Fraction(-2, 3), "-0.666666666667"),
        (Fraction(0), "0"),
    ],
)
def test_quantities_are_shown_as_decimals(value: Fraction, shown: str) -> None:
    assert f"{decimal_of(value):f}" == shown


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\tx", "\rx"])
def test_text_never_becomes_a_formula(text: str) -> None:
    assert neutralised(text) == f"'{text}"
    assert neutralised("IOT") == "IOT"
