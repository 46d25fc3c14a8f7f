"""Money paid before it is invoiced: taken once, the oldest first, and stated by the invoice."""

from datetime import UTC, date, datetime
from fractions import Fraction

import pytest
from sqlalchemy import text

from billing.advancing import record_advance
from billing.approving import approve
from billing.core.errors import BillingError, Conflict, Invalid, NotFound
from billing.payments import balance_of
from billing.verify import verify
from storage import advances
from storage.database import Database
from storage.invoices import invoice_document, list_invoices
from tests.closing.fleet import Fleet

NOW = datetime(2022, 5, 10, tzinfo=UTC)
CONTRACT = "IOT Fleet Contract"
APRIL, MAY = date(2022, 4, 30), date(2022, 5, 31)
FIRST, SECOND = "INV/2022/04/0001", "INV/2022/05/0001"


def pay(database: Database, amount: str, reference: str, on: date, *, contract: str = CONTRACT) -> None:
    with database.transaction() as session:
        record_advance(
            session, contract, amount=Fraction(amount), paid_on=on, reference=reference, now=NOW, origin="cli"
        )


def fleet(database: Database, **terms: str) -> Fleet:
    """Twelve units in April and four in May at 2.50 with 20 % VAT: 36.00 and 12.00."""
    found = Fleet(database, terms=terms)
    found.activate("IOT_NS542")
    found.uses("IOT_NS542", 12, "2022-04-14T10:00:00+02:00")
    found.uses("IOT_NS542", 4, "2022-05-14T10:00:00+02:00")
    return found


def left(database: Database) -> dict[str, int]:
    with database.snapshot() as session:
        return {row.advance.reference: row.left_minor for row in advances.of_contracts(session)}


def due(database: Database, number: str) -> tuple[int, int]:
    """What the document says was prepaid, and what is still due."""
    with database.snapshot() as session:
        return invoice_document(session, number).prepaid_minor, balance_of(session, number, MAY).due_minor


def test_the_oldest_is_taken_first_and_what_is_left_goes_on_the_next_invoice(database: Database) -> None:
    here = fleet(database)
    pay(database, "20.00", "later", date(2022, 4, 9))
    pay(database, "25", "earlier", date(2022, 4, 2))
    here.close(APRIL)
    assert due(database, FIRST) == (3600, 0)
    assert left(database) == {"earlier": 0, "later": 900}
    here.close(MAY)
    assert due(database, SECOND) == (900, 300)
    assert left(database) == {"earlier": 0, "later": 0}
    with database.snapshot() as session:
        assert [it for it in verify(session) if it.severity == "difference"] == []


def test_what_is_paid_after_the_day_of_an_invoice_waits_for_the_next(database: Database) -> None:
    here = fleet(database)
    pay(database, "50", "bank-1", date(2022, 5, 1))
    here.close(APRIL)
    assert due(database, FIRST) == (0, 3600)
    here.close(MAY)
    assert due(database, SECOND) == (1200, 0)
    assert left(database) == {"bank-1": 3800}


def test_a_dry_run_takes_nothing_and_closing_again_takes_no_more(database: Database) -> None:
    here = fleet(database)
    pay(database, "50", "bank-1", APRIL)
    here.close(APRIL, dry_run=True)
    assert left(database) == {"bank-1": 5000}
    here.close(APRIL)
    here.close(APRIL)
    assert left(database) == {"bank-1": 1400}


def test_a_draft_takes_nothing_before_it_is_approved(database: Database) -> None:
    here = fleet(database, approval="required")
    pay(database, "50", "bank-1", APRIL)
    here.close(APRIL)
    assert left(database) == {"bank-1": 5000}
    with database.transaction() as session:
        (draft,) = list_invoices(session, status="draft")
        (number,) = approve(session, draft.number, NOW)
    assert due(database, number) == (3600, 0)


def test_the_same_reference_again_changes_nothing(database: Database) -> None:
    fleet(database)
    for _ in range(2):
        pay(database, "50", "bank-1", APRIL)
    assert left(database) == {"bank-1": 5000}


@pytest.mark.parametrize(
    "amount, reference, contract, error",
    [
        ("51", "bank-1", CONTRACT, Conflict),
        ("0", "bank-2", CONTRACT, Invalid),
        ("1.005", "bank-2", CONTRACT, Invalid),
        ("1", "", CONTRACT, Invalid),
        ("1", "bank-2", "No such", NotFound),
    ],
)
def test_what_cannot_be_is_refused(
    sqlite_database: Database, amount: str, reference: str, contract: str, error: type[BillingError]
) -> None:
    fleet(sqlite_database)
    pay(sqlite_database, "50", "bank-1", APRIL)
    with pytest.raises(error):
        pay(sqlite_database, amount, reference, APRIL, contract=contract)
    assert left(sqlite_database) == {"bank-1": 5000}


def test_verify_notices_an_advance_that_was_made_smaller_or_later(sqlite_database: Database) -> None:
    here = fleet(sqlite_database)
    pay(sqlite_database, "50", "bank-1", APRIL)
    here.close(APRIL)
    for change in ("amount_minor = 3599", "paid_on = '2022-05-01'"):
        with sqlite_database.transaction() as session:
            session.connection().execute(text(f"UPDATE advance SET {change}"))
        with sqlite_database.snapshot() as session:
            assert "advances" in {it.check for it in verify(session)}
        with sqlite_database.transaction() as session:
            session.connection().execute(text("UPDATE advance SET amount_minor = 5000, paid_on = '2022-04-30'"))
