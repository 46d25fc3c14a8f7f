"""Currencies with 0, 2 and 3 decimals and every category of VAT, from the usage record to the balance."""

import csv
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from billing.core.errors import Invalid
from billing.crediting import Credit, credit
from billing.payments import balance_of, record_payment
from billing.verify import differences, verify
from gateway.extraction import export_invoice
from storage.database import Database
from storage.invoices import InvoiceDocument, invoice_document
from tests.closing.fleet import FEE, USAGE, Fleet
from tests.usecases.test_credit_notes import run

APRIL = date(2022, 4, 30)
NOW = datetime(2022, 5, 10, tzinfo=UTC)
NUMBER = "INV/2022/04/0001"
PRICED: Mapping[str, Any] = {
    **USAGE,
    "vat_rate": "10",
    "calculator": {"metric": "usage", "price": {"model": "per_unit", "unit_price": "2.505"}},
}


@pytest.mark.parametrize(
    "currency, net, vat, shares, halves",
    [
        # 7 units at 2.505 are 17.535, 10 % of it 1.7535: each rounded once, halves away from zero.
        ("JPY", "18", "2", ["8", "10"], [(9, 1), (9, 1)]),
        ("EUR", "17.54", "1.75", ["7.52", "10.02"], [(877, 88), (877, 87)]),
        ("KWD", "17.535", "1.754", ["7.515", "10.020"], [(8768, 877), (8767, 877)]),
        ("TND", "17.535", "1.754", ["7.515", "10.020"], [(8768, 877), (8767, 877)]),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency_everywhere(
    database: Database,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    currency: str,
    net: str,
    vat: str,
    shares: list[str],
    halves: list[tuple[int, int]],
) -> None:
    fleet = Fleet(database, charges=(PRICED,), currency=currency)
    for reference, quantity in (("IOT_1", 3), ("IOT_2", 4)):
        fleet.activate(reference)
        fleet.uses(reference, quantity, "2022-04-14T10:00:00Z")
    fleet.close(APRIL)
    monkeypatch.setenv("METERGATE_DATABASE_URL", database_url)

    shown = json.loads(run(["invoices", "show", NUMBER, "--json"], capsys)[1])
    with database.snapshot() as session:
        export_invoice(session, NUMBER, tmp_path / "detail.csv", "csv")
    rows = list(csv.DictReader((tmp_path / "detail.csv").read_text(encoding="utf-8-sig").splitlines()))

    assert (shown["currency"], shown["net"], shown["vat"]) == (currency, net, vat)
    assert [row["net_amount"] for row in rows] == shares
    notes = [_credited(database, amount) for amount in (Fraction(halves[0][0], 10 ** len(net.partition(".")[2])), None)]
    assert [(note.net_minor, note.vat_minor) for note in notes] == halves
    with database.snapshot() as session:
        assert balance_of(session, NUMBER, APRIL).due_minor == 0
        assert differences(verify(session)) == []


def _credited(database: Database, amount: Fraction | None) -> InvoiceDocument:
    with database.transaction() as session:
        return invoice_document(session, credit(session, NUMBER, Credit(reason="half", amount=amount), NOW))


@pytest.mark.parametrize("currency, amount, too_fine", [("JPY", "20", "0.1"), ("KWD", "19.289", "0.0001")])
def test_a_payment_has_no_more_decimals_than_the_currency(
    database: Database, currency: str, amount: str, too_fine: str
) -> None:
    fleet = Fleet(database, charges=(PRICED,), currency=currency)
    fleet.activate("IOT_1")
    fleet.uses("IOT_1", 7, "2022-04-14T10:00:00Z")
    fleet.close(APRIL)

    def pay(paid: str, reference: str) -> str:
        with database.transaction() as session:
            return record_payment(
                session, NUMBER, amount=Fraction(paid), paid_on=APRIL, reference=reference, now=NOW, origin="cli"
            ).state

    with pytest.raises(Invalid, match="decimals"):
        pay(too_fine, "bank-1")
    assert pay(amount, "bank-2") == "paid"


def test_an_invoice_states_vat_once_a_category_and_rate_with_its_reason(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fees = [
        {
            **FEE,
            "timing": "arrears",
            "name": f"{category} {rate} {more}".strip(),
            "vat_category": category,
            "vat_rate": rate,
        }
        | ({"vat_exemption_reason": more} if more else {})
        for category, rate, more in (
            ("S", "20", ""),
            ("S", "5.5", ""),
            ("Z", "0", ""),
            ("AE", "0", ""),
            ("K", "0", ""),
            ("E", "0", "Education"),
            ("E", "0", "Health"),
        )
    ]
    fleet = Fleet(database, charges=fees)
    fleet.activate("IOT_1")
    fleet.close(APRIL)
    monkeypatch.setenv("METERGATE_DATABASE_URL", database_url)

    shown = json.loads(run(["invoices", "show", NUMBER, "--json"], capsys)[1])
    note = _credited(database, None)

    assert [tuple(row.values()) for row in shown["vat_breakdown"]] == [
        ("AE", "0", "10.00", "0.00", "Reverse charge", "VATEX-EU-AE"),
        ("E", "0", "20.00", "0.00", "Education; Health", None),
        ("K", "0", "10.00", "0.00", "Intra-Community supply", "VATEX-EU-IC"),
        ("S", "5.5", "10.00", "0.55", None, None),
        ("S", "20", "10.00", "2.00", None, None),
        ("Z", "0", "10.00", "0.00", None, None),
    ]
    assert [(it.exemption_reason, it.base_minor) for it in note.vat][:2] == [
        ("Reverse charge", 1000),
        ("Education; Health", 2000),
    ]
    text = run(["invoices", "show", NUMBER], capsys)[1]
    assert "VAT 0 % on 10.00: 0.00 (Reverse charge, VATEX-EU-AE)" in text
    with database.snapshot() as session:
        assert differences(verify(session)) == []
