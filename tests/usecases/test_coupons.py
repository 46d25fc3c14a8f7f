"""A fixed amount off the invoices of a contract: spread over VAT rates, used up or dropped, and never below zero."""

import csv
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from sqlalchemy import text

from billing.approving import approve, void
from billing.catalogue.problems import CatalogueInvalid
from billing.close import close
from billing.closing.coupons import held_coupons
from billing.core.coupons import Coupon, Reducible, reduction
from billing.crediting import Credit, credit
from billing.verify import differences, verify
from gateway.extraction import export_invoice
from storage import closing
from storage.database import Database
from storage.invoices import invoice_document
from tests.usecases.changing import World, contract, fee, noon, plans

APRIL, MAY, JUNE, JULY = date(2022, 4, 30), date(2022, 5, 31), date(2022, 6, 30), date(2022, 7, 31)
FIRST = date(2022, 4, 1)
OFF = "name: Welcome, amount: 10"


def world(database: Database, coupon: str = OFF, *charges: str, more: str = "", **others: list[str]) -> World:
    """A contract with a coupon; from April on one object pays 30.00 a month, in arrears, unless said otherwise."""
    terms = f", coupons: [{{{coupon}}}]{more}"
    own = list(charges) or [fee("30", "arrears")]
    here = World(database, plans(A=own, **others) + "contracts:\n" + contract("C", "A", *others, more=terms))
    here.active("A", FIRST)
    return here


def taken(here: World, until: date) -> list[list[int]]:
    """Of each document of a close, what its coupons take."""
    return [[it.net_minor for it in found.lines if it.unit == "coupon"] for found in here.close(until).invoices]


def left(here: World) -> int:
    """What the first coupon has left for the next month."""
    with here.database.snapshot() as session:
        (held, *_) = held_coupons(session, closing.contracts(session), date(2099, 1, 1))
        return held.coupon.left(held.taken, date(2099, 1, 1))


def test_a_coupon_is_a_line_of_its_own_off_the_base_of_vat(database: Database) -> None:
    here = world(database)
    (invoice,) = here.close(APRIL).invoices
    assert [
        (it.label, int(it.quantity), int(it.unit_price), it.net_minor, it.object_count) for it in invoice.lines
    ] == [
        ("A / Fee", 1, 30, 3000, 1),
        ("Coupon Welcome", 1, -10, -1000, 0),
    ]
    assert (invoice.net_minor, invoice.vat_minor, invoice.gross_minor) == (2000, 400, 2400)
    assert taken(here, MAY) == [[]]


def test_each_vat_rate_takes_its_part_to_the_cent(database: Database) -> None:
    ten = fee("100", "arrears", name="Ten").replace('"20"', '"10"')
    here = world(database, OFF, fee("50", "arrears"), ten, fee("0.01", "arrears", name="Cent"))
    (invoice,) = here.close(APRIL).invoices
    assert [(int(it.vat_rate), it.net_minor) for it in invoice.lines if it.unit == "coupon"] == [(10, -667), (20, -333)]
    assert {(int(it.rate), it.base_minor, it.vat_minor) for it in invoice.vat} == {(20, 4668, 934), (10, 9333, 933)}


@pytest.mark.parametrize(
    "coupon,expected",
    [
        ("amount: 70", [[-3000], [-3000], [-1000], []]),
        ("amount: 70, rest: drop", [[-3000], [], [], []]),
        ("amount: 10, periods: 3", [[-1000], [-1000], [-1000], []]),
        ("amount: 40, periods: 2", [[-3000], [-3000], [-2000], []]),
        ("amount: 40, periods: 2, rest: drop", [[-3000], [-3000], [], []]),
        ("amount: 10, starts_on: 2022-06-30", [[], [], [-1000], []]),
    ],
)
def test_what_a_coupon_takes_of_four_months(database: Database, coupon: str, expected: list[list[int]]) -> None:
    here = world(database, f"name: Welcome, {coupon}")
    assert taken(here, JULY) == expected


def test_a_dry_run_says_what_the_close_does_and_uses_nothing(database: Database) -> None:
    here = world(database, "name: Welcome, amount: 70")
    dry = close(here.database, MAY, noon(JUNE), dry_run=True)
    assert left(here) == 7000
    real = here.close(MAY)
    assert [[(line.label, line.net_minor) for line in it.lines] for it in dry.invoices] == [
        [(line.label, line.net_minor) for line in it.lines] for it in real.invoices
    ]
    assert left(here) == 1000


def test_the_detail_has_a_row_without_object_and_adds_up(database: Database, tmp_path: Path) -> None:
    here = world(database)
    (invoice,) = here.close(APRIL).invoices
    target = tmp_path / "detail.csv"
    with database.snapshot() as session:
        export_invoice(session, invoice.number, target, "csv")
    with target.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["object"], row["charge"], row["net_amount"]) for row in rows] == [
        ("IOT_1", "Fee", "30.00"),
        ("", "Welcome", "-10.00"),
    ]
    assert sum(Decimal(row["net_amount"]) for row in rows) == Decimal("20.00")


def test_a_coupon_may_be_for_one_subscription(database: Database) -> None:
    here = world(database, OFF + ", subscription: B", B=[fee("4", "arrears")])
    assert taken(here, APRIL) == [[]]
    here.active("B", date(2022, 5, 1), "IOT_2")
    assert taken(here, MAY) == [[-400]]


def test_several_coupons_follow_each_other(database: Database) -> None:
    here = world(database, "name: One, amount: 25}, {name: Two, amount: 25")
    (april, may) = here.close(MAY).invoices
    assert [(it.charge, it.net_minor) for it in april.lines[1:]] == [("One", -2500), ("Two", -500)]
    assert [(it.charge, it.net_minor) for it in may.lines[1:]] == [("Two", -2000)]


def test_a_month_that_is_a_credit_note_uses_nothing(database: Database) -> None:
    here = world(database, "name: Welcome, amount: 10, starts_on: 2022-05-01", fee("30", "advance"))
    here.close(APRIL)
    here.do("terminate", date(2022, 5, 2), on=date(2022, 4, 10))
    (note,) = here.close(MAY).invoices
    assert (note.kind, [it.unit for it in note.lines]) == ("credit_note", ["month", "month"])
    assert left(here) == 1000


def test_a_draft_has_it_and_uses_it_only_when_it_is_approved(database: Database) -> None:
    here = world(database, "name: Welcome, amount: 40, periods: 2, rest: drop", more=", approval: required")
    for _ in range(2):
        (draft,) = here.close(APRIL).drafts
        assert [it.net_minor for it in draft.lines] == [3000, -3000]
    assert left(here) == 4000
    with database.transaction() as session:
        void(session, draft.number, noon(date(2022, 5, 3)))
    here.verified()
    (draft,) = here.close(MAY).drafts
    assert [it.net_minor for it in draft.lines] == [3000, 3000, -4000]
    with database.transaction() as session:
        (number,) = approve(session, draft.number, noon(date(2022, 6, 3)), total=Fraction(24))
        assert invoice_document(session, number).net_minor == 2000
    here.verified()
    (draft,) = here.close(JUNE).drafts
    with database.transaction() as session:
        approve(session, draft.number, noon(date(2022, 7, 3)))
    assert left(here) == 0


def test_an_invoice_that_is_too_small_with_its_coupon_waits_and_uses_nothing(database: Database) -> None:
    here = world(database, OFF, more=', minimum_invoice: "30"')
    assert taken(here, APRIL) == []
    assert left(here) == 1000
    assert taken(here, MAY) == [[-1000]]


def test_on_one_invoice_for_a_customer_it_is_off_its_own_contract(database: Database) -> None:
    terms = ", invoicing: customer, coupons: [{name: Welcome, amount: 70}]"
    declared = contract("C", "A", more=terms) + contract("D", "A", more=", invoicing: customer")
    here = World(database, plans(A=[fee("30", "arrears")]) + "contracts:\n" + declared)
    here.active("A", FIRST)
    here.active("A", FIRST, "IOT_2", contract="D")
    (invoice,) = here.close(APRIL).invoices
    assert [(dict(it.group), it.net_minor) for it in invoice.lines] == [
        ({"contract": "C"}, 3000),
        ({"contract": "D"}, 3000),
        ({"contract": "C"}, -3000),
    ]


def test_of_invoices_by_attribute_one_after_the_other_is_reduced(database: Database) -> None:
    here = world(database, "name: Welcome, amount: 40", more=', invoicing: "attribute:site"')
    here.active("A", FIRST, "IOT_2", attributes={"site": "Paris"})
    here.active("A", FIRST, "IOT_3", attributes={"site": "Quimper"})
    assert taken(here, MAY) == [[-3000], [-1000], [], [], [], []]


@pytest.mark.parametrize("rebill,given_back", [(False, 0), (True, 1000)])
def test_a_credit_note_by_hand_credits_what_was_paid(database: Database, *, rebill: bool, given_back: int) -> None:
    here = world(database)
    (invoice,) = here.close(APRIL).invoices
    with database.transaction() as session:
        number = credit(session, invoice.number, Credit(reason="outage", rebill=rebill), noon(date(2022, 5, 5)))
        note = invoice_document(session, number)
    assert (note.net_minor, note.gross_minor) == (2000, 2400)
    here.verified()
    assert left(here) == given_back
    # What is billed anew takes the coupon anew.
    assert taken(here, MAY) == ([[-1000]] if rebill else [[]])


def test_parts_of_an_invoice_with_a_coupon_are_credited_to_the_cent(database: Database) -> None:
    here = world(database)
    (invoice,) = here.close(APRIL).invoices
    found = []
    for asked in (Credit(reason="half", percent=Fraction(50)), Credit(reason="rest")):
        with database.transaction() as session:
            note = invoice_document(session, credit(session, invoice.number, asked, noon(date(2022, 5, 5))))
        found.append((note.net_minor, [it.net_minor for it in note.lines]))
    assert found == [(1000, [1500, -500]), (1000, [1500, -500])]
    here.verified()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE coupon_use SET taken_minor = 900",
        "UPDATE coupon SET amount = '9'",
        "DELETE FROM coupon_use",
        "UPDATE invoice_line SET net_minor = -900, amount = '-9', unit_price = '-9' WHERE unit = 'coupon'",
    ],
)
def test_what_is_changed_by_hand_is_found(database: Database, change: str) -> None:
    here = world(database)
    here.close(APRIL)
    with database.transaction() as session:
        session.connection().execute(text(change))
    with database.snapshot() as session:
        found = {it.check for it in differences(verify(session))}
    assert found & {"coupons", "invoices"}
    assert ("seals" in found) == ("UPDATE coupon SET" not in change)


def test_a_coupon_that_was_not_taken_is_found(database: Database) -> None:
    here = world(database, f"{OFF}, periods: 3")
    assert taken(here, MAY) == [[-1000], [-1000]]
    with database.transaction() as session:
        for change in (
            "DELETE FROM coupon_use WHERE line_id = (SELECT MAX(line_id) FROM coupon_use)",
            "DELETE FROM invoice_line WHERE unit = 'coupon' AND id NOT IN (SELECT line_id FROM coupon_use)",
        ):
            session.connection().execute(text(change))
        said = [it.message for it in differences(verify(session)) if it.check == "coupons"]
        assert any("takes 10.00 off VAT S 20 % of INV/2022/05/0001, the invoice states 0.00" in it for it in said)
        session.rollback()
    # One that is declared afterwards was not there before, and one that is used up takes nothing: no difference.
    assert taken(here, JULY) == [[-1000], []]
    terms = f", coupons: [{{{OFF}, periods: 3}}, {{name: Later, amount: 5}}]"
    here.apply(plans(A=[fee("30", "arrears")]) + "contracts:\n" + contract("C", "A", more=terms))
    assert taken(here, date(2022, 8, 31)) == [[-500]]


def test_what_a_document_took_of_a_coupon_keeps_its_terms(database: Database) -> None:
    here = world(database)
    here.apply(here.text.replace("amount: 10", "amount: 11"))
    assert left(here) == 1100
    here.close(APRIL)
    with pytest.raises(CatalogueInvalid, match="was taken off an invoice, so its terms stay"):
        here.apply(here.text.replace("amount: 10", "amount: 12"))


@pytest.mark.parametrize(
    "coupon,message",
    [
        ("name: X, amount: 0", "the amount of a coupon is above zero"),
        ('name: X, amount: "0.001"', "at most 2 decimals"),
        ("name: X, amount: 1, currency: USD", "the contract is in EUR"),
        ("name: X, amount: 1, subscription: Z", "has no subscription 'Z'"),
        ("name: X, amount: 1}, {name: X, amount: 2", "declared twice"),
        ("name: X, amount: 1, periods: 0", "greater than or equal to 1"),
    ],
)
def test_a_coupon_that_cannot_be_is_refused(database: Database, coupon: str, message: str) -> None:
    with pytest.raises(CatalogueInvalid, match=message):
        world(database, coupon)


def test_nothing_is_taken_below_zero_not_even_with_vat() -> None:
    coupon = Coupon(
        id=1, name="X", contract="C", subscription=None, amount_minor=9999, periods=1, rest="drop", starts_on=FIRST
    )

    def off(*lines: tuple[int, int]) -> dict[int, int]:
        known = [Reducible(("S", Fraction(rate)), "", "A", net) for rate, net in lines]
        return {int(rate[1]): minor for rate, minor in reduction(coupon, 9999, known).items()}

    assert off((20, 1000), (10, -300)) == {20: 700}
    # 10 % of what is left has to pay for the 20 % that are given back.
    assert off((10, 1000), (20, -300)) == {10: 673}
    assert off((20, 0)) == {}
