"""What customers receive: valid against the official rules, made once, read by people."""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner
from pypdf import PdfReader
from sqlalchemy import text

from billing.advancing import record_advance
from billing.core.errors import Invalid
from billing.crediting import Credit, credit
from gateway.cli.main import cli
from gateway.documents.cii import cii
from gateway.documents.facts import EInvoice, facts_of
from gateway.documents.language import Speech
from gateway.documents.pdf import payment_code, pdf
from gateway.documents.ubl import ubl
from gateway.documents.writing import Form, document_bytes, object_totals
from storage.database import Database
from storage.documents import DocumentChanged
from storage.invoices import invoice_document
from tests.documents.official import against_cii, against_ubl
from tests.usecases.changing import World, contract

NOW = datetime(2022, 5, 2, 9, tzinfo=UTC)
APRIL, FIRST = date(2022, 4, 30), date(2022, 4, 1)
SELLER = """
seller: {name: Demo & Sons SAS, country: FR, vat_number: FR32123456789, legal_id: "123456789", currency: EUR,
         timezone: Europe/Paris, iban: FR76 3000 6000 0112 3456 7890 189, address: [1 rue du Port], postcode: "35000",
         city: Rennes, electronic_address: "0009:12345678900010"}
metrics:
  - {name: usage, unit: kWh, unit_code: KWH, kind: delta, decimals: 3}
customers:
  - {reference: FLEET, name: Fleet GmbH, country: DE, vat_number: DE123456789, address: [Weg 1, Hof], city: Berlin,
     electronic_address: "9930:DE123456789"}
  - {reference: BARE, name: Bare Ltd, country: GB}
"""
RULES: list[tuple[Callable[[EInvoice], bytes], Callable[[bytes], list[str]]]] = [(cii, against_cii), (ubl, against_ubl)]
both = pytest.mark.parametrize("write, against", RULES, ids=["cii", "ubl"])


def charges(vat: str) -> str:
    """A fee, graduated usage and a discount, so that lines have parts of a unit and amounts below zero."""
    tiers = '[{up_to: "10", unit_price: "0.3333"}, {up_to: null, unit_price: "0.25", flat_fee: "1"}]'
    calculator = f"{{metric: usage, price: {{model: graduated, tiers: {tiers}}}}}"
    return (
        f'[{{name: Fee, type: recurring, timing: arrears, amount: "9.90", {vat}}}, '
        f'{{name: Energy, type: usage, {vat}, calculator: {calculator}, discount: {{percent: "12.5"}}}}]'
    )


def world(database: Database, vat: str = 'vat_rate: "20"', *, customer: str = "FLEET", more: str = "") -> World:
    text = f"plans:\n  - name: A\n    charges: {charges(vat)}\ncontracts:\n" + contract(
        "C", "A", customer=customer, more=more
    )
    here = World(database, text, seller=SELLER)
    here.active("A", date(2022, 4, 18), "IOT_1")
    here.active("A", FIRST, "IOT_2")
    here.uses(17, "2022-04-20T10:00:00+00:00", "IOT_1")
    here.uses(4, "2022-04-21T10:00:00+00:00", "IOT_2")
    return here


def issued(here: World) -> str:
    (invoice,) = here.close(APRIL).invoices
    return invoice.number


def facts(database: Database, number: str) -> EInvoice:
    with database.snapshot() as session:
        return facts_of(invoice_document(session, number))


def made(database: Database, number: str, form: Form, *, annex: bool = False) -> bytes:
    return document_bytes(database, number, form, language="en", annex=annex, now=NOW)


@both
@pytest.mark.parametrize(
    "vat",
    [
        'vat_rate: "20"',
        'vat_rate: "5.5"',
        "vat_category: Z, vat_rate: 0",
        "vat_category: E, vat_rate: 0",
        "vat_category: AE, vat_rate: 0",
        "vat_category: K, vat_rate: 0",
        "vat_category: G, vat_rate: 0",
        "vat_category: O, vat_rate: 0",
    ],
)
def test_every_category_of_vat_is_valid(
    sqlite_database: Database,
    vat: str,
    write: Callable[[EInvoice], bytes],
    against: Callable[[bytes], list[str]],
) -> None:
    number = issued(world(sqlite_database, vat))
    assert against(write(facts(sqlite_database, number))) == []
    with sqlite_database.transaction() as session:
        note = credit(session, number, Credit(reason="Outage", percent=Fraction(25)), NOW)
    assert against(write(facts(sqlite_database, note))) == []


@both
@pytest.mark.parametrize("currency", ["JPY", "EUR", "TND"])
def test_a_currency_has_its_own_decimals(
    sqlite_database: Database,
    currency: str,
    write: Callable[[EInvoice], bytes],
    against: Callable[[bytes], list[str]],
) -> None:
    number = issued(world(sqlite_database, more=f", currency: {currency}"))
    if currency == "TND":
        with pytest.raises(Invalid, match="TND has three decimals, and EN 16931 states two"):
            made(sqlite_database, number, "ubl")
        assert made(sqlite_database, number, "pdf").startswith(b"%PDF")
    else:
        assert against(write(facts(sqlite_database, number))) == []


@both
def test_three_decimals_that_end_before_are_stated_with_two(
    sqlite_database: Database, write: Callable[[EInvoice], bytes], against: Callable[[bytes], list[str]]
) -> None:
    fee = '{name: Fee, type: recurring, timing: arrears, amount: "9.90", vat_rate: "20"}'
    text = f"plans:\n  - name: A\n    charges: [{fee}]\n"
    terms = contract("C", "A", customer="FLEET", more=", currency: TND")
    here = World(sqlite_database, text + "contracts:\n" + terms, seller=SELLER)
    here.active("A", FIRST, "IOT_1")
    number = issued(here)
    found = facts(sqlite_database, number)
    assert (found.net, found.gross) == ("9.90", "11.88")
    assert against(write(found)) == []
    assert made(sqlite_database, number, "ubl")


@both
@pytest.mark.parametrize("vat", ['vat_rate: "20"', "vat_category: AE, vat_rate: 0"])
def test_an_invoice_with_a_coupon_is_valid(
    sqlite_database: Database,
    vat: str,
    write: Callable[[EInvoice], bytes],
    against: Callable[[bytes], list[str]],
) -> None:
    number = issued(world(sqlite_database, vat, more=", coupons: [{name: Welcome, amount: 5}]"))
    found = facts(sqlite_database, number)
    assert [(str(it.quantity), str(it.price), it.net) for it in found.lines if "Coupon" in it.name] == [
        ("-1", "5", "-5.00")
    ]
    assert against(write(found)) == []


@both
@pytest.mark.parametrize("amount", ["10.00", "1000"])
def test_what_was_prepaid_is_stated_and_valid(
    sqlite_database: Database, amount: str, write: Callable[[EInvoice], bytes], against: Callable[[bytes], list[str]]
) -> None:
    here = world(sqlite_database)
    with sqlite_database.transaction() as session:
        record_advance(session, "C", amount=Fraction(amount), paid_on=FIRST, reference="bank-1", now=NOW, origin="cli")
    found = facts(sqlite_database, issued(here))
    assert Decimal(found.prepaid) == min(Decimal(amount), Decimal(found.gross))
    assert Decimal(found.payable) == Decimal(found.gross) - Decimal(found.prepaid)
    assert against(write(found)) == []
    printed = PdfReader(io.BytesIO(pdf(found, Speech("en", "EUR"), 2))).pages[0].extract_text()
    assert "Paid in advance" in printed
    assert bool(payment_code(found)) == (found.payable != "0.00")


@both
def test_a_period_that_is_paid_ahead_and_a_part_of_a_period_are_valid(
    sqlite_database: Database, write: Callable[[EInvoice], bytes], against: Callable[[bytes], list[str]]
) -> None:
    fee = '{name: Fee, type: recurring, timing: advance, amount: "9.90", vat_rate: "20"}'
    text = f"plans:\n  - name: A\n    charges: [{fee}]\n"
    here = World(sqlite_database, text + "contracts:\n" + contract("C", "A", customer="FLEET"), seller=SELLER)
    here.active("A", date(2022, 4, 18), "IOT_1")
    found = facts(sqlite_database, issued(here))
    periods = [(str(line.starts_on), str(line.last_on), line.quantity) for line in found.lines]
    assert periods == [
        ("2022-04-01", "2022-04-30", Decimal("0.4333333333")),
        ("2022-05-01", "2022-05-31", Decimal(1)),
    ]
    assert against(write(found)) == []


@both
def test_a_credit_note_names_what_it_credits_and_is_valid(
    sqlite_database: Database, write: Callable[[EInvoice], bytes], against: Callable[[bytes], list[str]]
) -> None:
    number = issued(world(sqlite_database))
    with sqlite_database.transaction() as session:
        note = credit(session, number, Credit(reason="Outage", percent=Fraction(10)), NOW)
    found = facts(sqlite_database, note)
    assert (found.type_code, found.corrects) == ("381", (number,))
    xml = write(found)
    assert against(xml) == []
    assert number.encode() in xml


@both
def test_the_rules_object_to_a_total_that_is_wrong(
    sqlite_database: Database, write: Callable[[EInvoice], bytes], against: Callable[[bytes], list[str]]
) -> None:
    found = facts(sqlite_database, issued(world(sqlite_database)))
    wrong = write(found).replace(found.gross.encode(), b"999.99")
    assert any("BR-CO-1" in sentence for sentence in against(wrong))


def test_what_misses_is_named_all_at_once(sqlite_database: Database) -> None:
    number = issued(world(sqlite_database, "vat_category: AE, vat_rate: 0", customer="BARE"))
    with pytest.raises(Invalid, match="the customer needs a vat_number") as caught:
        made(sqlite_database, number, "factur-x")
    assert "BR-AE-02" in caught.value.message


def test_factur_x_is_a_pdf_with_its_xml_inside(sqlite_database: Database) -> None:
    number = issued(world(sqlite_database))
    reader = PdfReader(io.BytesIO(made(sqlite_database, number, "factur-x")))
    (xml,) = reader.attachments["factur-x.xml"]
    assert against_cii(xml) == []
    assert xml == cii(facts(sqlite_database, number))
    metadata = reader.xmp_metadata.stream.get_data().decode() if reader.xmp_metadata else ""
    assert "<pdfaid:part>3</pdfaid:part>" in metadata
    assert "EN 16931" in metadata


def test_a_person_reads_the_same_on_paper(sqlite_database: Database) -> None:
    here = world(sqlite_database)
    number = issued(here)
    pages = [
        page.extract_text() for page in PdfReader(io.BytesIO(made(sqlite_database, number, "pdf", annex=True))).pages
    ]
    assert len(pages) == 2
    for words in ("Invoice", number, "Demo & Sons SAS", "Fleet GmbH", "A / Fee", "FR76 3000", "1 / 2"):
        assert words in pages[0]
    with sqlite_database.snapshot() as session:
        document, totals = invoice_document(session, number), object_totals(session, number)
    assert sum(minor for _, minor in totals) == document.net_minor
    assert [name for name, _ in totals] == ["IOT_1", "IOT_2"]
    for words in ("IOT_1", "IOT_2"):
        assert words in pages[1]


def test_a_french_reader_finds_the_words_of_the_engine_in_french(sqlite_database: Database) -> None:
    found = facts(sqlite_database, issued(world(sqlite_database)))
    printed = PdfReader(io.BytesIO(pdf(found, Speech("fr", "EUR"), 2))).pages[0].extract_text()
    for words in ("A / Energy / Tranche 1", "A / Energy / Remise", "mois", "kWh"):
        assert words in printed
    speech = Speech("fr", "EUR")
    told = [
        speech.label(f"P / C / {component} / Lyon (adjustment)", "P / C", component, adjustment=True)
        for component in ("Tier 2 flat fee", "Step 3", "Packages", "Discount")
    ]
    assert told == [
        "P / C / Tranche 2 part fixe / Lyon (régularisation)",
        "P / C / Palier 3 / Lyon (régularisation)",
        "P / C / Lots / Lyon (régularisation)",
        "P / C / Remise / Lyon (régularisation)",
    ]
    assert speech.label("P / Discount", "P / Discount", "Fee", adjustment=False) == "P / Discount", "the seller's word"


def test_the_code_of_a_payment_has_the_amount_and_the_account(sqlite_database: Database) -> None:
    here = world(sqlite_database)
    found = facts(sqlite_database, issued(here))
    assert payment_code(found).startswith("<svg")


def test_the_same_bytes_come_back_and_a_changed_copy_is_found(database: Database) -> None:
    number = issued(world(database))
    forms: tuple[Form, ...] = ("pdf", "factur-x", "ubl")
    first = {form: made(database, number, form) for form in forms}
    for form, content in first.items():
        assert made(database, number, form) == content
    with database.transaction() as session:
        session.connection().execute(text("UPDATE issued_document SET sha256 = 'x' WHERE form = 'ubl'"))
    with pytest.raises(DocumentChanged, match="its hash differs"):
        made(database, number, "ubl")


def test_a_document_is_made_while_others_write_and_the_first_that_is_kept_is_everybodys(database: Database) -> None:
    number = issued(world(database))
    with ThreadPoolExecutor() as threads:
        found = list(threads.map(lambda _: made(database, number, "factur-x"), range(4)))
    assert len(set(found)) == 1
    assert made(database, number, "factur-x") == found[0]
    with database.transaction() as session:  # somebody who writes, and takes their time
        session.connection().execute(text("UPDATE issued_document SET made_at = made_at"))
        with ThreadPoolExecutor() as threads:
            again = threads.submit(made, database, number, "factur-x")
            assert again.result(timeout=5) == found[0]


def test_a_thousand_lines_go_on_many_pages_each_with_its_headings(sqlite_database: Database) -> None:
    found = facts(sqlite_database, issued(world(sqlite_database)))
    lines = tuple(replace(found.lines[0], position=place, name=f"A / Fee / {place}") for place in range(1, 1001))
    reader = PdfReader(io.BytesIO(pdf(replace(found, lines=lines), Speech("fr", "EUR"), 2)))
    pages = [page.extract_text() for page in reader.pages]
    assert len(pages) > 20
    assert all("Désignation" in page for page in pages[:-1])
    assert "A / Fee / 1000" in pages[-2] + pages[-1]
    assert f"{len(pages)} / {len(pages)}" in pages[-1]


def test_a_month_is_exported_at_once_and_what_cannot_be_made_is_named(
    sqlite_database: Database, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = world(sqlite_database)
    number = issued(here)
    monkeypatch.setenv("METERGATE_DATABASE_URL", sqlite_url)
    folder = tmp_path / "april"
    words = ["invoices", "export", "--month", "2022-04", "--format", "ubl", "--output", str(folder)]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    (written,) = folder.iterdir()
    assert written.name == number.replace("/", "-") + ".ubl.xml"
    assert against_ubl(written.read_bytes()) == []
    nothing = CliRunner().invoke(cli, ["invoices", "export", "--format", "pdf"])
    assert nothing.exit_code == 2
    assert "name one invoice, or a month" in nothing.output


def test_an_export_that_fails_leaves_the_file_that_was_there(
    sqlite_database: Database, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = issued(world(sqlite_database))
    monkeypatch.setenv("METERGATE_DATABASE_URL", sqlite_url)
    target = tmp_path / "detail.csv"
    words = ["invoices", "export", number, "--format", "csv", "--output", str(target)]
    assert CliRunner().invoke(cli, words).exit_code == 0
    before = target.read_bytes()
    with sqlite_database.transaction() as session:  # a row that cannot be read any more
        session.connection().execute(text("UPDATE line_share SET share_minor = 'x'"))
    assert CliRunner().invoke(cli, words).exit_code != 0
    assert [path.name for path in tmp_path.glob("*detail*")] == ["detail.csv"]
    assert target.read_bytes() == before
