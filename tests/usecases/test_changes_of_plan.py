"""Another plan in mid-period: the day of change belongs to the new plan; credit and charge, figures by hand."""

from datetime import date

import pytest

from billing.core.errors import Conflict, Invalid, NotFound, Refused
from storage.database import Database
from tests.usecases.changing import World, contract, fee, per_unit, plans


def world(database: Database, *, timing: str = "advance", small: str = "29.00", big: str = "290.00") -> World:
    text = plans(Small=[fee(small, timing)], Big=[fee(big, timing)], Pay=[per_unit("2")], Metered=[per_unit("3")])
    return World(database, text + "contracts:\n" + contract("C", "Small", "Big", "Pay", "Metered"))


def test_an_upgrade_of_a_fee_in_advance_credits_the_rest_and_charges_the_new_plans_part(database: Database) -> None:
    it = world(database)
    it.active("Small", date(2024, 1, 1))
    it.close(date(2024, 1, 31))  # January and, in advance, February

    shown = it.ask("change_plan", date(2024, 2, 12), subscription="Big")
    it.do("change_plan", date(2024, 2, 12), subscription="Big")

    # 29 * 18/29 = 18.00 back; 290 * 18/29 = 180.00; March in advance.
    assert it.bills(date(2024, 2, 29)) == [
        ("INV/2024/02/0001", "Big/Fee", "2024-02-01", 18000),
        ("INV/2024/02/0001", "Big/Fee", "2024-03-01", 29000),
        ("INV/2024/02/0001", "Small/Fee", "2024-02-01", -1800),
    ]
    # Without the change March would have been 29.00 on that invoice.
    assert shown.net_minor() == {("C", "EUR", 2): 18000 + 29000 - 1800 - 2900}
    assert it.bills(date(2024, 3, 31)) == [("INV/2024/03/0001", "Big/Fee", "2024-04-01", 29000)]
    assert it.events()[-1] == (
        "plan_changed",
        {
            "on": "2024-02-12",
            "from": {"contract": "C", "subscription": "Small"},
            "to": {"contract": "C", "subscription": "Big"},
        },
    )


def test_an_upgrade_of_a_fee_in_arrears_charges_each_plan_its_days(database: Database) -> None:
    it = world(database, timing="arrears")
    it.active("Small", date(2024, 2, 1))
    it.do("change_plan", date(2024, 2, 12), subscription="Big")

    assert it.bills(date(2024, 2, 29)) == [
        ("INV/2024/02/0001", "Big/Fee", "2024-02-01", 18000),
        ("INV/2024/02/0001", "Small/Fee", "2024-02-01", 1100),
    ]


@pytest.mark.parametrize("small, big, lines", [("10", "20", [1097, -548]), ("20", "10", [548, -1097])])
def test_seventeen_of_thirty_one_days_are_credited_and_charged(
    database: Database, small: str, big: str, lines: list[int]
) -> None:
    it = world(database, small=small, big=big)
    it.active("Small", date(2024, 3, 1))
    it.close(date(2024, 3, 31))

    it.do("change_plan", date(2024, 4, 3), subscription="Big", on=date(2024, 3, 15))

    found = [net for _, _, period, net in it.bills(date(2024, 4, 30)) if period == "2024-03-01"]
    assert sorted(map(abs, found)) == sorted(map(abs, lines))
    assert sum(found) == sum(lines)


def test_usage_is_priced_by_the_plan_of_its_day(database: Database) -> None:
    it = world(database)
    it.active("Pay", date(2022, 4, 1))
    it.uses(10, "2022-04-14T21:59:59Z")  # the last second of the 14th in Paris
    it.uses(100, "2022-04-14T22:00:00Z")
    it.close(date(2022, 4, 30))

    it.do("change_plan", date(2022, 5, 2), subscription="Metered", on=date(2022, 4, 15))

    assert it.bills(date(2022, 5, 31)) == [
        ("INV/2022/05/0001", "Metered/Units", "2022-04-01", 30000),
        ("INV/2022/05/0001", "Pay/Units", "2022-04-01", -20000),
    ]


def test_a_change_on_the_first_day_takes_the_old_plan_back_whole(database: Database) -> None:
    it = world(database)
    it.active("Small", date(2024, 4, 1))
    it.close(date(2024, 4, 30))

    it.do("change_plan", date(2024, 5, 1), subscription="Big", on=date(2024, 4, 1))
    it.do("change_plan", date(2024, 5, 1), subscription="Small", on=date(2024, 4, 1))
    it.do("change_plan", date(2024, 5, 1), subscription="Big", on=date(2024, 4, 1))

    billed = it.bills(date(2024, 5, 31))
    assert sum(net for *_, net in billed) == 3 * 29000 - 2 * 2900


def test_a_change_may_be_told_in_advance_and_the_first_new_period_is_due_like_any_other(database: Database) -> None:
    it = world(database)
    it.active("Small", date(2024, 4, 1))
    it.do("change_plan", date(2024, 4, 10), subscription="Big", on=date(2024, 6, 1))

    assert [(what, period) for _, what, period, _ in it.bills(date(2024, 5, 31))] == [
        ("Small/Fee", "2024-04-01"),
        ("Small/Fee", "2024-05-01"),
        ("Big/Fee", "2024-06-01"),
    ]


def test_a_later_change_is_replaced_by_one_for_an_earlier_day(database: Database) -> None:
    it = world(database, timing="arrears")
    it.active("Small", date(2024, 4, 1))
    it.do("change_plan", date(2024, 4, 21), subscription="Big")
    it.do("change_plan", date(2024, 4, 25), subscription="Pay", on=date(2024, 4, 11))

    assert it.bills(date(2024, 4, 30)) == [("INV/2024/04/0001", "Small/Fee", "2024-04-01", 967)]  # 29 * 10/30


def test_a_preview_writes_nothing(database: Database) -> None:
    it = world(database)
    it.active("Small", date(2024, 1, 1))
    before = it.events()

    it.ask("change_plan", date(2024, 2, 12), subscription="Big")

    assert it.events() == before
    assert [what for _, what, *_ in it.bills(date(2024, 1, 31))] == ["Small/Fee", "Small/Fee"]


def test_what_cannot_be_changed_is_refused_and_changes_nothing(database: Database) -> None:
    it = world(database)
    it.do("create", date(2024, 1, 1))
    with pytest.raises(Refused):
        it.do("change_plan", date(2024, 1, 1), subscription="Big")
    it.do("activate", date(2024, 1, 1), contract="C", subscription="Small")
    with pytest.raises(Conflict, match="already"):
        it.do("change_plan", date(2024, 1, 5), subscription="Small")
    with pytest.raises(NotFound, match="has no subscription"):
        it.do("change_plan", date(2024, 1, 5), subscription="None")
    with pytest.raises(Invalid, match="before that"):
        it.do("change_plan", date(2024, 1, 5), subscription="Big", on=date(2023, 12, 31))
    with pytest.raises(Invalid, match="after that"):
        it.do("change_plan", date(2024, 1, 5), subscription="Big", on=date(2025, 1, 1))
    assert [kind for kind, _ in it.events()] == ["created", "activated"]
    it.verified()
