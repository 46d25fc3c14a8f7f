"""Trials, anniversaries and discounts of first periods are counted from where the service began, whatever changes."""

from datetime import date

from storage.database import Database
from tests.usecases.changing import World, contract, fee, plans

TRIAL = ", trial_days: 20"
SETUP = '{name: Set-up, type: one_time, amount: "50", vat_rate: "20"}'
FIRST_TWO = ', discount: {percent: "50", periods: 2}'
ANNIVERSARY = ", anchor: anniversary"
PLANS = plans(
    Plain=[fee("30", "arrears")],
    Trial=[fee("60", "arrears", more=TRIAL)],
    Setup=[fee("30", "arrears"), SETUP],
    Other=[fee("60", "arrears"), SETUP],
    Cheap=[fee("60", "arrears", more=FIRST_TWO)],
    Round=[fee("31", "arrears", more=ANNIVERSARY)],
    Larger=[fee("62", "arrears", more=ANNIVERSARY)],
)
NAMES = ("Plain", "Trial", "Setup", "Other", "Cheap", "Round", "Larger")


def world(database: Database) -> World:
    contracts = contract("C", *NAMES) + contract("D", *NAMES, customer="OTHER")
    return World(database, PLANS + "contracts:\n" + contracts)


def billed(it: World, until: date) -> list[tuple[str, str, int]]:
    return [(what, start, net) for _, what, start, net in it.bills(until)]


def test_a_change_of_plan_leaves_the_rest_of_the_trial_and_never_begins_it_again(database: Database) -> None:
    it = world(database)
    it.active("Plain", date(2022, 4, 1))
    it.do("change_plan", date(2022, 4, 11), subscription="Trial")
    # Ten days of the old plan; of the new one's twenty days of trial ten are left; then ten days.
    assert billed(it, date(2022, 4, 30)) == [("Plain/Fee", "2022-04-01", 1000), ("Trial/Fee", "2022-04-01", 2000)]
    it.do("change_plan", date(2022, 5, 11), subscription="Plain")
    it.do("change_plan", date(2022, 5, 21), subscription="Trial")
    assert ("Trial/Fee", "2022-05-01", 4065) in billed(it, date(2022, 5, 31))  # 60 * (10 + 11) / 31


def test_a_transfer_neither_restarts_a_trial_nor_owes_the_set_up_again(database: Database) -> None:
    it = world(database)
    it.active("Trial", date(2022, 4, 1))
    it.active("Setup", date(2022, 4, 1), "IOT_2")
    it.do("transfer", date(2022, 4, 26), contract="D")
    it.do("transfer", date(2022, 4, 26), "IOT_2", contract="D")
    assert sorted(billed(it, date(2022, 4, 30))) == [
        ("Setup/Fee", "2022-04-01", 500),
        ("Setup/Fee", "2022-04-01", 2500),
        ("Setup/Fee", "2022-04-01", 5000),
        ("Trial/Fee", "2022-04-01", 1000),
        ("Trial/Fee", "2022-04-01", 1000),
    ]


def test_a_change_on_the_first_day_owes_the_set_up_of_the_plan_that_it_ends_on(database: Database) -> None:
    it = world(database)
    it.active("Setup", date(2022, 4, 1))
    it.do("change_plan", date(2022, 4, 1), subscription="Other")
    assert billed(it, date(2022, 4, 30)) == [("Other/Fee", "2022-04-01", 6000), ("Other/Fee", "2022-04-01", 5000)]


def test_a_discount_of_the_first_periods_is_not_won_again_by_a_change(database: Database) -> None:
    it = world(database)
    it.active("Plain", date(2022, 4, 1))
    it.close(date(2022, 4, 30))
    it.do("change_plan", date(2022, 5, 1), subscription="Cheap")
    assert sum(net for *_, net in billed(it, date(2022, 5, 31))) == 3000
    assert sum(net for *_, net in billed(it, date(2022, 6, 30))) == 6000


def test_anniversaries_go_on_through_a_change_of_plan(database: Database) -> None:
    it = world(database)
    it.active("Round", date(2022, 1, 31))
    it.do("change_plan", date(2022, 3, 3), subscription="Larger")
    bills = billed(it, date(2022, 4, 30))
    # 28 February to 30 March is one period of 31 days: three of them on the old plan.
    assert sorted(bills) == [
        ("Larger/Fee", "2022-02-28", 5600),
        ("Larger/Fee", "2022-03-31", 6200),
        ("Round/Fee", "2022-01-31", 3100),
        ("Round/Fee", "2022-02-28", 300),
    ]


def test_anniversaries_do_not_drift_where_a_term_renews(database: Database) -> None:
    it = world(database)
    it.active("Round", date(2022, 1, 31), renewal="automatic", term_months=1)
    assert billed(it, date(2022, 4, 30)) == [
        ("Round/Fee", "2022-01-31", 3100),
        ("Round/Fee", "2022-02-28", 3100),
        ("Round/Fee", "2022-03-31", 3100),
    ]
