"""The detail as text and as an explanation: what a plain writer would write, and what came too late to be on it."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlmodel import col, select

from billing.core.money import format_minor
from gateway.cells import FORMULA_SIGNS, csv_column, decimal_of, decimal_text
from gateway.cli.main import cli
from gateway.cli.output import json_pieces
from gateway.extraction import SCHEDULE_COLUMNS, export_invoice
from storage.database import Database
from storage.detail import FETCH_ROWS, detail_rows, explain
from storage.invoices import UnknownInvoice, invoice_document, list_invoices
from storage.tables import Invoice, InvoiceLine, LineShare
from tests.closing.fleet import FEE, USAGE, Fleet

APRIL = date(2022, 4, 30)
NUMBER = "INV/2022/04/0001"
AWKWARD = ("=CMD", "-1", "@x", "a,b", 'say "x"', "Ünï", "plain", "=1,2", "two\nrows", "two\r")
QUANTITIES = (
    "1/3",
    "-2/3",
    "22/31",
    "1/8",
    "-5",
    "0",
    "123456789012345678901/1000000",
    "1/1000000000000",
    "1/3000000000000",
)
SHARES = (0, 5, -5, 100, -100, 123456789012345678)


def plainly(database: Database, number: str) -> bytes:
    """The detail by Python's own writer and its decimals, a row at a time."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(SCHEDULE_COLUMNS)

    def harmless(text: str) -> str:
        return f"'{text}" if text[:1] in FORMULA_SIGNS and text else text

    with database.snapshot() as session:
        document = invoice_document(session, number)
        for row in detail_rows(session, number):
            texts = map(harmless, (row.reference, row.subscription, row.charge, row.component))
            days = (row.starts_on, row.ends_on - timedelta(days=1))
            price = f"{decimal_of(row.unit_price):f}"
            net = format_minor(row.share_minor, document.minor_digits)
            quantity = f"{decimal_of(row.quantity):f}"
            unit, currency = harmless(row.unit), document.currency
            writer.writerow(
                [number, row.line, *texts, *days, int(row.adjustment), quantity, unit, price, net, currency, ""]
            )
    return stream.getvalue().encode()


def extracted(database: Database, number: str, target: Path) -> bytes:
    with database.snapshot() as session:
        export_invoice(session, number, target, "csv")
    return target.read_bytes()


def every_number(database: Database) -> list[str]:
    with database.snapshot() as session:
        return [it.number for it in list_invoices(session)]


def test_the_detail_is_what_a_plain_writer_writes(database: Database, tmp_path: Path) -> None:
    fleet = Fleet(database, charges=(FEE, USAGE), grouping=("subscription", "charge"))
    for place, reference in enumerate(AWKWARD):
        fleet.activate(reference, date(2022, 4, 1 + place))
        fleet.uses(reference, place, "2022-04-14T10:00:00Z")
    fleet.close(APRIL)
    fleet.uses("plain", 7, "2022-04-15T10:00:00Z")
    fleet.close(date(2022, 5, 31))
    with database.transaction() as session:
        invoice = session.exec(select(Invoice).where(Invoice.number == NUMBER)).one()
        shares = session.exec(select(LineShare).order_by(col(LineShare.line_id), col(LineShare.schedule_id))).all()
        for place, share in enumerate(shares):
            share.quantity = Fraction(QUANTITIES[place % len(QUANTITIES)])
            share.share_minor = SHARES[place % len(SHARES)]
        line = session.exec(select(InvoiceLine).where(InvoiceLine.invoice_id == invoice.id)).first()
        assert line is not None
        line.subscription_name, line.unit, line.unit_price = '+"Premium", fleet', "m,h", Fraction(1, 7)

    numbers = every_number(database)
    assert len(numbers) == 2
    for number in numbers:
        assert extracted(database, number, tmp_path / "detail.csv") == plainly(database, number)
    with (tmp_path / "detail.csv").open(encoding="utf-8", newline="") as stream:
        assert {row["adjustment"] for row in csv.DictReader(stream)} == {"0", "1"}


@pytest.mark.parametrize("digits", [0, 2, 3])
def test_a_credit_note_is_written_in_its_currency(sqlite_database: Database, tmp_path: Path, digits: int) -> None:
    fleet = Fleet(sqlite_database, charges=(FEE,))
    fleet.activate("IOT_1", ends_on=date(2022, 6, 1))
    fleet.close(APRIL)
    fleet.change("IOT_1", 0, status="cancelled", revalue=1)
    fleet.change("IOT_1", 1, status="cancelled", revalue=1)
    fleet.close(date(2022, 5, 31))
    with sqlite_database.transaction() as session:
        for invoice in session.exec(select(Invoice)):
            invoice.minor_digits = digits
    with sqlite_database.snapshot() as session:
        assert "credit_note" in {it.kind for it in list_invoices(session)}
    for number in every_number(sqlite_database):
        assert extracted(sqlite_database, number, tmp_path / "detail.csv") == plainly(sqlite_database, number)


def test_batches_and_lines_need_not_end_together(database: Database, tmp_path: Path) -> None:
    fleet = Fleet(database)
    fleet.activate("IOT_1")
    fleet.uses("IOT_1", 1, "2022-04-14T10:00:00Z")
    fleet.close(APRIL)
    with database.transaction() as session:
        share = session.exec(select(LineShare)).one().model_dump()
        line = session.exec(select(InvoiceLine)).one().model_dump()
        for position in range(2, FETCH_ROWS + 3):
            copy = InvoiceLine(**line | {"id": None, "position": position})
            session.add(copy)
        session.flush()
        for copy in session.exec(select(InvoiceLine).where(InvoiceLine.position > 1)):
            session.add(LineShare(**share | {"line_id": copy.id}))

    whole = extracted(database, NUMBER, tmp_path / "detail.csv")

    assert whole == plainly(database, NUMBER)
    assert whole.count(b"\r\n") == FETCH_ROWS + 3
    with database.snapshot() as session:
        assert [len(list(line.shares)) for line in explain(session, NUMBER)] == [1] * (FETCH_ROWS + 2)


@pytest.mark.parametrize("exact", QUANTITIES)
def test_a_decimal_is_the_nearest_with_twelve_places(exact: str) -> None:
    shown, value = Decimal(decimal_text(exact)), Fraction(exact)
    assert abs(Fraction(shown) - value) * 2 <= Fraction(1, 10**12)
    assert "E" not in decimal_text(exact)
    assert decimal_text(str(-value)) == (decimal_text(exact)[1:] if value < 0 else f"-{decimal_text(exact)}").replace(
        "-0", "0" if not shown else "-0"
    )


def test_a_column_is_looked_through_as_its_cells() -> None:
    assert csv_column(["IOT_1", "", "IOT_2"]) == ["IOT_1", "", "IOT_2"]
    assert csv_column(["IOT_1", *AWKWARD[:4]]) == ["IOT_1", "'=CMD", "'-1", "'@x", '"a,b"']


@pytest.fixture
def late(database: Database) -> Fleet:
    fleet = Fleet(database)
    fleet.activate("IOT_1")
    fleet.uses("IOT_1", 3, "2022-04-14T10:00:00Z", "in time")
    fleet.close(APRIL)
    fleet.uses("IOT_1", 5, "2022-04-20T10:00:00Z", "too late")
    fleet.close(date(2022, 5, 31))
    return fleet


def test_what_came_after_the_close_is_not_on_that_invoice(late: Fleet) -> None:
    with late.database.snapshot() as session:
        said = {
            number: [
                (it.record.discriminator, it.late)
                for line in explain(session, number)
                for share in line.shares
                for it in share.records
            ]
            for number in every_number(late.database)
        }
    assert said == {
        NUMBER: [("in time", False), ("too late", True)],
        "INV/2022/05/0001": [("in time", False), ("too late", False)],
    }


def test_the_command_says_what_is_not_on_the_invoice(late: Fleet) -> None:
    runner = CliRunner(env={"METERGATE_DATABASE_URL": late.database.engine.url.render_as_string(hide_password=False)})
    rows = runner.invoke(cli, ["invoices", "explain", NUMBER]).output.splitlines()
    assert [row.endswith("too late  not on this invoice: it arrived after the close") for row in rows[2:]] == [
        False,
        True,
    ]
    (line,) = json.loads(runner.invoke(cli, ["invoices", "explain", NUMBER, "--json"]).output)
    (share,) = line["shares"]
    assert [(it["id"], it["on_this_invoice"]) for it in share["records"]] == [("in time", True), ("too late", False)]


def test_an_unknown_invoice_has_no_explanation(late: Fleet) -> None:
    with late.database.snapshot() as session, pytest.raises(UnknownInvoice):
        next(explain(session, "INV/1999/01/0001"))


def test_json_in_pieces_is_json() -> None:
    def value(of: Callable[[list[object]], object]) -> object:
        return of([{"a": Fraction(1, 2), "b": of([1, {"c": "x\ny"}]), "d": of([])}, 2])

    whole = "".join(json_pieces(value(iter)))
    assert whole == "".join(json_pieces(value(list)))
    assert json.loads(whole) == [{"a": "0.5", "b": [1, {"c": "x\ny"}], "d": []}, 2]

    def endless() -> Iterator[int]:
        while True:
            yield 1

    assert next(json_pieces(endless())) == "[\n  "
