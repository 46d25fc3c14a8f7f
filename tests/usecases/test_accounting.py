"""Journal entries balance, over whatever was issued, credited and paid."""

import csv
import io
from dataclasses import replace
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import select

from billing.accounting import entries, totals
from billing.core.errors import Invalid, Refused
from billing.core.journal import Accounts, Document, Line, Vat, entry_of
from billing.crediting import Credit, credit
from billing.payments import record_payment
from gateway.cli.accounting import rows
from gateway.simulation.history import history
from gateway.simulation.player import MortalDatabase, Player
from storage.database import Database
from storage.tables import Invoice, Seller
from tests.closing.fleet import FEE, MUCH_LATER, USAGE, Fleet

ACCOUNTS = {
    "receivable": "411000",
    "revenue": "706000",
    "vat": {"S": "445710", "S 5.5": "445712"},
    "bank": "512000",
    "advances": "419000",
}
APRIL = date(2022, 4, 1)
EVENING = datetime(2022, 4, 30, 20, tzinfo=UTC)
DOCUMENT = Document(
    number="INV/2022/04/0001",
    kind="invoice",
    issued_on=date(2022, 4, 30),
    currency="EUR",
    minor_digits=2,
    customer="FLEET",
    customer_name="=Fleet Customer",
    gross_minor=11_000,
    lines=(Line(account=None, net_minor=10_500), Line(account="708500", net_minor=-500)),
    vat=(Vat(category="S", rate=Fraction(11, 2), vat_minor=1_000), Vat(category="Z", rate=Fraction(0), vat_minor=0)),
)


def declare(database: Database) -> None:
    with database.transaction() as session:
        seller = session.exec(select(Seller)).one()
        seller.accounting = ACCOUNTS
        session.add(seller)


def shown(database: Database, month: date = APRIL, *, payments: bool = False) -> list[dict[str, str]]:
    with database.snapshot() as session:
        text = "\r\n".join(rows(entries(session, month, payments=payments)))
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_document_is_receivable_against_revenue_and_vat_and_a_credit_note_turns_it_round() -> None:
    accounts = Accounts.from_entry(ACCOUNTS)
    entry = entry_of(DOCUMENT, accounts)
    found = [(it.account, it.debit_minor, it.credit_minor) for it in entry.postings]
    assert found == [("411000", 11_000, 0), ("445712", 0, 1_000), ("706000", 0, 10_500), ("708500", 500, 0)]
    credited = entry_of(replace(DOCUMENT, kind="credit_note"), accounts)
    assert [(it.account, it.credit_minor, it.debit_minor) for it in credited.postings] == found


def test_what_does_not_balance_and_what_has_no_account_is_refused() -> None:
    accounts = Accounts.from_entry(ACCOUNTS)
    with pytest.raises(Invalid, match="INV/2022/04/0001 does not balance"):
        entry_of(replace(DOCUMENT, gross_minor=11_001), accounts)
    with pytest.raises(Refused, match=r"no account is declared for the VAT S 5\.5"):
        entry_of(DOCUMENT, replace(accounts, vat={}))
    with pytest.raises(Refused, match="the seller declares no accounts"):
        Accounts.from_entry({})


@given(
    nets=st.lists(st.tuples(st.sampled_from(["", "7081", "7082"]), st.integers(-(10**9), 10**9)), max_size=20),
    vat=st.integers(-(10**9), 10**9),
    kind=st.sampled_from(["invoice", "credit_note"]),
)
def test_every_entry_balances(nets: list[tuple[str, int]], vat: int, kind: Literal["invoice", "credit_note"]) -> None:
    document = replace(
        DOCUMENT,
        kind=kind,
        lines=[Line(account=account or None, net_minor=net) for account, net in nets],
        vat=[Vat(category="S", rate=Fraction(20), vat_minor=vat)],
        gross_minor=vat + sum(net for _, net in nets),
    )
    postings = entry_of(document, Accounts.from_entry(ACCOUNTS)).postings
    assert sum(it.debit_minor for it in postings) == sum(it.credit_minor for it in postings)
    assert all((it.debit_minor > 0) != (it.credit_minor > 0) for it in postings)


def test_a_month_has_its_documents_with_the_accounts_of_their_charges(database: Database) -> None:
    fleet = Fleet(database, charges=[USAGE, {**FEE, "account": "706100"}])
    fleet.activate("IOT_1")
    fleet.uses("IOT_1", 12, "2022-04-14T10:00:00+00:00")
    fleet.close(date(2022, 4, 30))
    with database.snapshot() as session, pytest.raises(Refused, match="accounting"):
        entries(session, APRIL)
    declare(database)
    with database.transaction() as session:
        (number,) = session.exec(select(Invoice.number)).all()
        credit(
            session,
            str(number),
            Credit(reason="Outage", percent=Fraction(10)),
            datetime.fromisoformat("2022-04-30T20:00:00+00:00"),
        )
        record_payment(
            session,
            str(number),
            amount=Fraction(20),
            paid_on=date(2022, 5, 3),
            reference="=BANK 1",
            now=MUCH_LATER,
            origin="cli",
        )
    found = [(it["document"], it["account"], it["debit"], it["credit"]) for it in shown(database)]
    assert ("INV/2022/04/0001", "706000", "", "30.00") in found
    assert ("INV/2022/04/0001", "445710", "", (found[0][2] and str(Fraction(0))) or "") not in found
    assert {account for _, account, _, _ in found} == {"411000", "445710", "706000", "706100"}
    assert {document for document, *_ in found} >= {"INV/2022/04/0001"}
    may = shown(database, date(2022, 5, 1), payments=True)
    assert [(it["journal"], it["account"], it["debit"], it["credit"]) for it in may] == [
        ("bank", "512000", "20.00", ""),
        ("bank", "411000", "", "20.00"),
    ]
    assert all(not it["label"].startswith("=") for it in may)


@pytest.mark.parametrize("seed", [3, 8])
def test_over_a_simulated_fleet_debits_are_credits_and_the_receivable_is_what_was_invoiced(
    seed: int, sqlite_url: str, sqlite_database: Database
) -> None:
    sqlite_database.dispose()
    database = MortalDatabase(sqlite_url)
    Player(history(seed), database).play()
    try:
        declare(database)
        with database.transaction() as session:
            seller = session.exec(select(Seller)).one()
            seller.accounting = {**ACCOUNTS, "vat": dict.fromkeys(("S", "L", "M"), "445710")}
            session.add(seller)
        with database.snapshot() as session:
            issued = session.exec(select(Invoice).where(Invoice.status == "issued")).all()
            months = sorted({invoice.issued_on.replace(day=1) for invoice in issued})
            found = [entry for month in months for entry in entries(session, month)]
            assert len(found) == len(issued) > 0
            assert all(debit == credit for debit, credit in totals(found).values())
            receivable = sum(
                it.debit_minor - it.credit_minor for entry in found for it in entry.postings if it.account == "411000"
            )
            signs = {"invoice": 1, "credit_note": -1}
            assert receivable == sum(signs[invoice.kind] * invoice.gross_minor for invoice in issued)
    finally:
        database.dispose()
