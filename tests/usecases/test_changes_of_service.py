"""Suspensions, terminations and terms, any number of times and also for days that are past; figures by hand."""

from datetime import date

import pytest

from billing.core.errors import BillingError, Conflict, Invalid
from billing.core.suspensions import first_difference, merged
from billing.lifecycle import end_terms
from storage.database import Database
from tests.usecases.changing import World, contract, fee, noon, per_unit, plans

PLANS = plans(
    Stop=[fee("30"), per_unit("1")],
    Arrears=[fee("30", "arrears")],
    Charge=[fee("30", "arrears", more=", while_suspended: charge")],
    Reduced=[fee("30", "arrears", more=', while_suspended: {model: reduced, amount: "6"}')],
    Whole=[fee("30", "arrears", more=', prorate: none, while_suspended: {model: reduced, amount: "6"}')],
)
NAMES = ("Stop", "Arrears", "Charge", "Reduced", "Whole")
AUTOMATIC = ", renewal: automatic, notice_days: 30"


def world(database: Database, more: str = "") -> World:
    return World(database, PLANS + "contracts:\n" + contract("C", *NAMES, more=more))


# --- suspensions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "plan, bills",
    [
        ("Arrears", [2000]),  # 20 of 30 days
        ("Charge", [3000]),
        ("Reduced", [2000, 200]),  # and 10 of 30 days at 6
        ("Whole", [3000]),  # one day in service is a whole fee
    ],
)
def test_the_plan_says_what_a_suspended_day_costs(database: Database, plan: str, bills: list[int]) -> None:
    it = world(database)
    it.active(plan, date(2022, 4, 1))
    it.do("suspend", date(2022, 4, 11))
    it.do("resume", date(2022, 4, 21))

    assert [net for *_, net in it.bills(date(2022, 4, 30))] == bills


def test_a_wholly_suspended_period_without_proration_costs_one_reduced_fee(database: Database) -> None:
    it = world(database)
    it.active("Whole", date(2022, 4, 1))
    it.do("suspend", date(2022, 5, 1))

    assert [net for *_, net in it.bills(date(2022, 5, 31))] == [3000, 600]


def test_pauses_again_and_again_stay_consistent(database: Database) -> None:
    it = world(database)
    it.active("Arrears", date(2022, 4, 1))
    for first, back in ((3, 5), (5, 8), (10, 11), (20, 25)):
        it.do("suspend", date(2022, 4, first))
        it.do("resume", date(2022, 4, back))

    # 2 + 3 + 1 + 5 = 11 days out of 30.
    assert [net for *_, net in it.bills(date(2022, 4, 30))] == [1900]


def test_overlapping_corrections_after_the_close_are_billed_as_one_difference(database: Database) -> None:
    it = world(database)
    it.active("Arrears", date(2022, 4, 1))
    it.do("suspend", date(2022, 4, 11))
    it.do("resume", date(2022, 4, 21))
    assert [net for *_, net in it.bills(date(2022, 4, 30))] == [2000]

    it.do("suspend", date(2022, 5, 2), on=date(2022, 4, 16))  # suspended from 11 April to now
    it.do("resume", date(2022, 5, 2), on=date(2022, 4, 26))  # to 25 April: five days more than was billed

    bills = it.bills(date(2022, 5, 31))
    assert [(period, net) for _, _, period, net in bills] == [("2022-05-01", 3000), ("2022-04-01", -500)]


def test_a_resumption_for_an_earlier_day_takes_the_suspension_back(database: Database) -> None:
    it = world(database)
    it.active("Stop", date(2022, 4, 1))
    it.do("suspend", date(2022, 4, 11))
    it.close(date(2022, 4, 30))
    shown = it.ask("resume", date(2022, 5, 2), on=date(2022, 4, 5))
    it.do("resume", date(2022, 5, 2), on=date(2022, 4, 5))

    bills = it.bills(date(2022, 5, 31))
    # April was billed for 10 days (10.00) and May for none; both whole now, and June in advance.
    assert sum(net for *_, net in bills) == 2000 + 3000 + 3000
    # Suspended on, nothing more would have been billed.
    assert shown.net_minor() == {("C", "EUR", 2): 8000}
    assert it.status() == "active"


def test_usage_while_suspended_is_billed(database: Database) -> None:
    it = world(database)
    it.active("Stop", date(2022, 4, 1))
    it.do("suspend", date(2022, 4, 1))
    it.uses(7, "2022-04-14T10:00:00Z")

    assert [(what, net) for _, what, _, net in it.bills(date(2022, 4, 30))] == [("Stop/Units", 700)]


def test_a_suspension_goes_on_over_a_change_of_plan(database: Database) -> None:
    it = world(database)
    it.active("Arrears", date(2022, 4, 1))
    it.do("suspend", date(2022, 4, 6))
    it.do("change_plan", date(2022, 4, 11), subscription="Reduced")
    it.do("resume", date(2022, 4, 21))

    assert it.status() == "active"
    assert [(what, net) for _, what, _, net in it.bills(date(2022, 4, 30))] == [
        ("Arrears/Fee", 500),  # 5 days
        ("Reduced/Fee", 1000),  # 10 days
        ("Reduced/Reduced fee", 200),  # 10 days at 6
    ]


# --- terminations ----------------------------------------------------------------------------------------


def test_a_termination_for_a_past_day_gives_back_what_was_billed_since(database: Database) -> None:
    it = world(database)
    it.active("Stop", date(2022, 4, 1))
    it.close(date(2022, 5, 31))  # April, May, June
    it.do("terminate", date(2022, 6, 10), on=date(2022, 4, 20))

    bills = it.bills(date(2022, 6, 30))
    assert [(period, net) for _, _, period, net in bills] == [
        ("2022-04-01", -1000),
        ("2022-05-01", -3000),
        ("2022-06-01", -3000),
    ]
    assert {number for number, *_ in bills} == {"CN/2022/06/0001"}


@pytest.mark.parametrize("plan", ["Stop", "Arrears"])
def test_a_fee_to_the_end_of_the_term_is_due_with_the_termination(database: Database, plan: str) -> None:
    it = world(database)
    it.active(plan, date(2022, 4, 1))
    it.close(date(2022, 4, 30))
    shown = it.ask("terminate", date(2022, 5, 10), fee="rest_of_term")
    it.do("terminate", date(2022, 5, 10), fee="rest_of_term")

    bills = it.bills(date(2022, 5, 31))
    billed_before = 2 if plan == "Stop" else 1
    assert sum(net for *_, net in bills) == (12 - billed_before) * 3000
    assert shown.net_minor()["C", "EUR", 2] == (12 - billed_before - 1) * 3000  # May or June anyway
    assert it.close(date(2023, 5, 31)).invoices == ()
    assert it.events()[-1] == ("terminated", {"on": "2022-05-10", "fee": "rest_of_term"})


def test_a_fee_to_the_end_of_the_term_bills_usage_to_the_last_day_only(database: Database) -> None:
    it = world(database)
    it.active("Stop", date(2022, 4, 1), term_months=1)
    it.uses(5, "2022-04-10T21:00:00Z")
    it.uses(70, "2022-04-10T22:00:00Z")
    it.do("terminate", date(2022, 4, 10), fee="rest_of_term")

    assert [(what, net) for _, what, _, net in it.bills(date(2022, 4, 30))] == [("Stop/Fee", 3000), ("Stop/Units", 500)]


def test_a_termination_before_a_change_of_plan_takes_the_new_plan_back(database: Database) -> None:
    it = world(database)
    it.active("Arrears", date(2022, 4, 1))
    it.do("change_plan", date(2022, 4, 16), subscription="Charge")
    it.close(date(2022, 4, 30))
    with pytest.raises(Invalid, match="changed on 2022-04-16"):
        it.do("terminate", date(2022, 5, 2), on=date(2022, 4, 15), fee="rest_of_term")
    it.do("terminate", date(2022, 5, 2), on=date(2022, 4, 15))

    bills = it.bills(date(2022, 5, 31))
    assert [(what, net) for _, what, _, net in bills] == [("Charge/Fee", -1500)]


# --- terms -----------------------------------------------------------------------------------------------


def test_a_term_renews_by_itself_and_a_long_downtime_is_caught_up(database: Database) -> None:
    it = world(database, AUTOMATIC)
    it.active("Stop", date(2022, 1, 31), term_months=1)

    billed: dict[str, int] = {}
    for _, _, period, net in it.bills(date(2022, 5, 31)):
        billed[period] = billed.get(period, 0) + net

    # One day of January, then February to May whole, and June in advance, up to the 29th.
    assert billed == {
        "2022-01-01": 97,
        **{f"2022-0{month}-01": 3000 for month in range(2, 6)},
        "2022-06-01": 2900,
    }
    renewed = [detail["contract_item"]["last_day"] for kind, detail in it.events() if kind == "renewed"]
    assert renewed == ["2022-03-30", "2022-04-29", "2022-05-30", "2022-06-29"]


def test_notice_in_time_ends_the_term(database: Database) -> None:
    it = world(database, AUTOMATIC)
    it.active("Stop", date(2022, 4, 1), term_months=3)
    shown = it.ask("no_renew", date(2022, 6, 1))
    it.do("no_renew", date(2022, 6, 1))

    assert shown.net_minor() == {("C", "EUR", 2): -3000}  # July in advance
    assert sum(net for *_, net in it.bills(date(2022, 8, 31))) == 9000
    assert it.events()[-2:] == [
        ("notice_given", {"on": "2022-06-01", "last_day": "2022-06-30"}),
        (
            "term_ended",
            {
                "contract_item": {
                    "name": "IOT_1",
                    "contract": "C",
                    "subscription": "Stop",
                    "starts_on": "2022-04-01",
                    "last_day": "2022-06-30",
                }
            },
        ),
    ]
    assert it.status() == "pending"
    it.do("activate", date(2022, 9, 1))


def test_late_notice_holds_for_the_end_of_the_next_term(database: Database) -> None:
    it = world(database, AUTOMATIC)
    it.active("Stop", date(2022, 4, 1), term_months=3)
    it.do("no_renew", date(2022, 6, 2))

    assert it.events()[-1] == ("notice_given", {"on": "2022-06-02", "last_day": "2022-09-30"})
    assert sum(net for *_, net in it.bills(date(2022, 12, 31))) == 6 * 3000
    assert it.status() == "pending"
    with pytest.raises(BillingError):
        it.do("no_renew", date(2022, 10, 1))


def test_a_term_without_renewal_is_given_no_notice(database: Database) -> None:
    it = world(database)
    it.active("Stop", date(2022, 4, 1))
    with pytest.raises(Conflict, match="renews by itself"):
        it.do("no_renew", date(2022, 4, 2))


def test_renewals_in_steps_and_at_once_bill_the_same(database: Database) -> None:
    it = world(database, AUTOMATIC)
    it.active("Stop", date(2022, 4, 1), term_months=1)
    stepped = [it.bills(date(2022, month + 1, 1).replace(day=1)) for month in range(4, 9)]
    with database.transaction() as session:
        assert end_terms(session, noon(date(2022, 8, 20))) == []

    # April and May on April's invoice, then a month each, as without a term.
    assert [net for bill in stepped for *_, net in bill] == [3000] * 6


def test_a_renewal_within_a_month_does_not_begin_its_prices_again(database: Database) -> None:
    included = '{metric: usage, price: {model: per_unit, unit_price: "1", included: "5"}}'
    usage = f'{{name: Usage, type: usage, vat_rate: "20", calculator: {included}}}'
    charges = [
        fee("10", "arrears", name="Whole", more=", prorate: none"),
        fee("31", name="Daily"),
        usage,
    ]
    it = World(database, plans(P=charges) + "contracts:\n" + contract("C", "P", more=", renewal: automatic"))
    it.active("P", date(2022, 4, 10), term_months=1)
    it.uses(4, "2022-05-05T12:00:00+00:00")
    it.uses(6, "2022-05-20T12:00:00+00:00")

    billed: dict[tuple[str, str], int] = {}
    for until in (date(2022, 4, 30), date(2022, 5, 31), date(2022, 6, 30)):
        for _, what, period, net in it.bills(until):
            billed[what, period] = billed.get((what, period), 0) + net

    # Each term ends on the 9th: of ten units in May five are included, and the whole fee is owed once a month.
    assert billed["P/Units", "2022-05-01"] == 500
    assert [billed["P/Fee", f"2022-0{month}-01"] for month in (4, 5, 6)] == [1000 + 2170, 1000 + 3100, 1000 + 3100]


# --- the days themselves ---------------------------------------------------------------------------------


def test_the_first_day_that_differs_is_found() -> None:
    day = date(2022, 4, 1).replace
    one = merged([(day(day=3), day(day=5)), (day(day=5), day(day=9))])
    assert one == ((day(day=3), day(day=9)),)
    assert first_difference(one, one) is None
    assert first_difference(one, [(day(day=3), None)]) == day(day=9)
    assert first_difference(one, []) == day(day=3)
    assert first_difference(one, [(day(day=1), day(day=2)), *one]) == day(day=1)
