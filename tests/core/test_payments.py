from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.payments import Issued, balances

DUE = date(2022, 5, 30)
BEFORE, AFTER = date(2022, 5, 30), date(2022, 5, 31)


def invoice(number: str, gross: int, paid: int = 0) -> Issued:
    return Issued(number=number, credit_note=False, gross_minor=gross, due_on=DUE, paid_minor=paid)


def note(number: str, gross: int, *corrects: str) -> Issued:
    return Issued(number=number, credit_note=True, gross_minor=gross, due_on=DUE, paid_minor=0, corrects=corrects)


@pytest.mark.parametrize(
    "paid, today, due, state",
    [
        (0, BEFORE, 3600, "open"),
        (1000, BEFORE, 2600, "partly_paid"),
        (3600, BEFORE, 0, "paid"),
        (0, AFTER, 3600, "overdue"),
        (1000, AFTER, 2600, "overdue"),
        (3600, AFTER, 0, "paid"),
    ],
)
def test_an_invoice_is_open_until_it_is_paid_and_overdue_the_day_after_its_due_date(
    paid: int, today: date, due: int, state: str
) -> None:
    found = balances([invoice("INV/1", 3600, paid)], today)["INV/1"]
    assert (found.due_minor, found.state) == (due, state)


def test_a_credit_note_lowers_the_invoices_that_it_names_in_its_order_and_keeps_the_rest() -> None:
    documents = [invoice("INV/1", 1000, 400), invoice("INV/2", 500), note("CN/1", 1300, "INV/1", "INV/2")]
    found = balances(documents, BEFORE)
    assert (found["INV/1"].credited_minor, found["INV/1"].due_minor, found["INV/1"].state) == (600, 0, "paid")
    assert (found["INV/2"].credited_minor, found["INV/2"].due_minor, found["INV/2"].state) == (500, 0, "credited")
    assert (found["CN/1"].due_minor, found["CN/1"].state) == (200, "open")


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(0, 10**6), st.lists(st.integers(0, 4), max_size=4)), max_size=4),
)
def test_credit_is_used_once_and_never_beyond_what_is_open(
    invoices: list[tuple[int, int]], notes: list[tuple[int, list[int]]]
) -> None:
    documents = [invoice(f"INV/{n}", gross, min(gross, paid)) for n, (gross, paid) in enumerate(invoices)]
    documents += [note(f"CN/{n}", gross, *(f"INV/{k}" for k in names)) for n, (gross, names) in enumerate(notes)]
    found = balances(documents, BEFORE)
    given_back = sum(each.gross_minor for each in documents if each.credit_note)
    used = sum(balance.credited_minor for balance in found.values())
    left = sum(found[each.number].due_minor for each in documents if each.credit_note)
    assert used + left == given_back
    for each in documents:
        if not each.credit_note:
            balance = found[each.number]
            assert balance.due_minor >= 0
            assert balance.paid_minor + balance.credited_minor + balance.due_minor == each.gross_minor
