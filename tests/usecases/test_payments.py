from collections.abc import Mapping
from datetime import UTC, date, datetime
from fractions import Fraction

import pytest

from billing.core.errors import BillingError, Conflict, Invalid, NotFound, Refused
from billing.core.payments import Balance
from billing.payments import all_balances, balance_of, record_payment
from storage.database import Database
from tests.closing.fleet import Fleet

NOW = datetime(2022, 5, 10, tzinfo=UTC)
TODAY = NOW.date()
APRIL = "INV/2022/04/0001"


@pytest.fixture
def issued(database: Database) -> Database:
    """One invoice over 36.00: twelve units at 2.50 with 20 % VAT, due on 30 May."""
    fleet = Fleet(database)
    fleet.activate("IOT_NS542")
    fleet.uses("IOT_NS542", 12, "2022-04-14T10:00:00+02:00")
    fleet.close(date(2022, 4, 30))
    return database


def pay(database: Database, amount: str, reference: str, *, number: str = APRIL, on: date = TODAY) -> Balance:
    with database.transaction() as session:
        return record_payment(
            session, number, amount=Fraction(amount), paid_on=on, reference=reference, now=NOW, origin="cli"
        )


def balances(database: Database, today: date) -> Mapping[str, Balance]:
    with database.snapshot() as session:
        return all_balances(session, today)


def test_an_invoice_is_paid_in_parts_and_the_same_payment_twice_is_one(issued: Database) -> None:
    assert pay(issued, "16.00", "bank-1").state == "partly_paid"
    assert pay(issued, "16", "bank-1").due_minor == 2000
    assert balances(issued, date(2022, 5, 31))[APRIL].state == "overdue"
    assert pay(issued, "20.00", "bank-2").state == "paid"
    assert balances(issued, date(2022, 5, 31))[APRIL].due_minor == 0


@pytest.mark.parametrize(
    "amount, reference, number, on, error",
    [
        ("36.01", "bank-1", APRIL, TODAY, Refused),
        ("0", "bank-1", APRIL, TODAY, Invalid),
        ("1.005", "bank-1", APRIL, TODAY, Invalid),
        ("1", "", APRIL, TODAY, Invalid),
        ("1", "bank-1", "INV/2022/04/0002", TODAY, NotFound),
        ("1", "bank-1", APRIL, date(2022, 4, 29), Invalid),
    ],
)
def test_a_payment_that_cannot_be_is_refused_and_leaves_nothing(
    issued: Database, amount: str, reference: str, number: str, on: date, error: type[BillingError]
) -> None:
    with pytest.raises(error):
        pay(issued, amount, reference, number=number, on=on)
    with issued.snapshot() as session:
        assert balance_of(session, APRIL, TODAY).due_minor == 3600


def test_one_reference_is_one_payment(issued: Database) -> None:
    pay(issued, "16.00", "bank-1")
    with pytest.raises(Conflict, match="bank-1"):
        pay(issued, "17.00", "bank-1")
