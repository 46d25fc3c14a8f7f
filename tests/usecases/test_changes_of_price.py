"""Another version of a plan: for one object, for all from a day on, or for new objects only; figures by hand."""

from datetime import date

import pytest
from sqlmodel import Session

from billing.core.errors import Conflict, Invalid, NotFound
from billing.preview import preview
from billing.recording import Said
from billing.repricing import Migration, migrate
from storage.database import Database
from tests.usecases.changing import World, contract, fee, noon, per_unit, plans

APRIL, MAY, JUNE = date(2022, 4, 30), date(2022, 5, 31), date(2022, 6, 30)
CONTRACTS = "contracts:\n" + contract("C", "Plan", "Other") + contract("D", "Plan", customer="OTHER")


def catalogue(price: str, timing: str = "arrears") -> str:
    return plans(Plan=[fee(price, timing), per_unit("1")], Other=[fee("60", "arrears")]) + CONTRACTS


@pytest.fixture
def world(database: Database) -> World:
    it = World(database, catalogue("30"))
    it.active("Plan", date(2022, 4, 1))
    it.active("Plan", date(2022, 4, 1), "IOT_2")
    it.active("Plan", date(2022, 4, 1), "IOT_3", contract="D")
    it.apply(catalogue("45"))
    return it


def said(today: date) -> Said:
    return Said(now=noon(today), origin="cli")


def change(it: World, today: date, **values: object) -> Migration:
    with it.database.transaction() as session:
        return migrate(session, "Plan", said(today), **values)  # type: ignore[arg-type]  # as a test gives them


def fees(it: World, until: date) -> list[int]:
    return sorted(net for _, what, _, net in it.bills(until) if what.endswith("/Fee"))


def test_a_new_version_alone_changes_nobodys_price(world: World) -> None:
    world.active("Plan", date(2022, 4, 1), "IOT_4")
    assert fees(world, APRIL) == [3000, 9000]


def test_all_objects_have_the_new_price_from_the_day_on(world: World) -> None:
    done = change(world, date(2022, 4, 16))
    assert (done.version, done.moved, done.subscriptions, done.left) == (2, 3, 2, ())
    world.active("Plan", date(2022, 4, 16), "IOT_4")
    # Half of April at 30, half at 45: of two objects and then three on C, of one on D.
    assert fees(world, APRIL) == [1500, 2250, 3000, 6750]
    assert world.events()[-1] == ("price_changed", {"on": "2022-04-16", "from_version": 1, "to_version": 2})
    assert fees(world, MAY) == [4500, 13500]


def test_told_again_it_changes_nothing(world: World) -> None:
    change(world, date(2022, 4, 16))
    before = world.events()
    assert (change(world, date(2022, 4, 17)).moved, world.events()) == (0, before)


def test_only_some_contracts(world: World) -> None:
    assert change(world, date(2022, 4, 16), contracts=["D"]).moved == 1
    assert fees(world, APRIL) == [1500, 2250, 6000]


def test_only_objects_that_are_activated_from_then_on(world: World) -> None:
    done = change(world, date(2022, 4, 16), only="new")
    assert (done.moved, done.subscriptions) == (0, 2)
    world.active("Plan", date(2022, 4, 16), "IOT_4")
    assert fees(world, APRIL) == [2250, 3000, 6000]


def test_a_day_that_is_past_corrects_what_was_invoiced(world: World) -> None:
    assert fees(world, APRIL) == [3000, 6000]
    change(world, date(2022, 5, 10), on=date(2022, 4, 16))
    assert fees(world, MAY) == [-3000, -1500, 2250, 4500, 4500, 9000]


def test_a_day_to_come_is_told_once_and_objects_that_come_meanwhile_go_along(database: Database) -> None:
    it = World(database, catalogue("30", "advance"))
    it.active("Plan", date(2022, 4, 1))
    it.apply(catalogue("45", "advance"))
    told = change(it, date(2022, 4, 10), on=date(2022, 6, 1), contracts=["C"])
    assert (told.moved, told.subscriptions, told.waiting) == (1, 0, ("C",))
    it.active("Plan", date(2022, 4, 20), "IOT_2")
    # April and 11 of its days, May twice, and June in advance at the new price for both.
    assert fees(it, MAY) == [4100, 6000, 9000]
    again = change(it, date(2022, 6, 1), contracts=["C"])
    assert (again.moved, again.subscriptions, again.waiting) == (0, 0, ())


def test_who_came_meanwhile_and_left_before_anybody_looked_has_the_price_from_the_day_on(database: Database) -> None:
    it = World(database, catalogue("30", "arrears"))
    it.apply(catalogue("45", "arrears"))
    change(it, date(2022, 4, 10), on=date(2022, 5, 9), contracts=["C"])
    it.active("Plan", date(2022, 4, 11), term_months=1)
    # 20 days of April, then 8 of 31 in May as before and the last two at the new price.
    assert fees(it, MAY) == [290, 774, 2000]


def test_what_is_told_later_for_the_same_day_replaces_what_was_planned(database: Database) -> None:
    it = World(database, catalogue("30", "advance"))
    it.active("Plan", date(2022, 4, 1))
    it.apply(catalogue("45", "advance"))
    change(it, date(2022, 4, 10), on=date(2022, 6, 1), contracts=["C"])
    change(it, date(2022, 4, 11), on=date(2022, 6, 1), contracts=["C"], version=1)
    it.active("Plan", date(2022, 4, 20), "IOT_2")
    assert fees(it, MAY) == [4100, 6000, 6000]


def test_one_object_may_have_another_version(world: World) -> None:
    asked = world.ask("change_price", date(2022, 4, 16))
    assert list(asked.net_minor().values()) == [750]
    world.do("change_price", date(2022, 4, 16))
    with pytest.raises(Conflict, match="has version 2"):
        world.do("change_price", date(2022, 4, 17))
    assert fees(world, APRIL) == [2250, 3000, 4500]
    world.do("change_price", date(2022, 5, 1), version=1)
    assert fees(world, MAY) == [3000, 6000]


def test_suspended_objects_and_those_that_came_later_go_along(world: World) -> None:
    world.do("change_plan", date(2022, 4, 11), "IOT_2", subscription="Other")
    world.do("suspend", date(2022, 4, 21))
    world.active("Plan", date(2022, 4, 26), "IOT_4")
    done = change(world, date(2022, 4, 28), on=date(2022, 4, 16), contracts=["C"])
    assert (done.moved, done.left) == (2, ())
    # IOT_1: 15 days at 30, 5 at 45 and the rest suspended; IOT_2: 10 at 30, 20 at 60; IOT_4: 5 at 45.
    assert fees(world, APRIL) == [1500, 2500, 3000, 4000]


def test_an_object_whose_service_ends_before_is_left(world: World) -> None:
    world.do("terminate", date(2022, 4, 10))
    done = change(world, date(2022, 4, 16), contracts=["C"])
    assert done.moved == 1
    assert fees(world, APRIL) == [2250, 2500, 3000]


def test_a_dry_run_gives_the_invoices_and_writes_nothing(world: World) -> None:
    def command(inside: Session) -> Migration:
        return migrate(inside, "Plan", said(date(2022, 4, 16)))

    with world.database.transaction() as session:
        shown = preview(session, command, contracts={"C", "D"}, now=noon(date(2022, 4, 16)))
    assert shown.result.moved == 3
    assert shown.net_minor() == {("C", "EUR", 2): 1500, ("D", "EUR", 2): 750}
    assert fees(world, APRIL) == [3000, 6000]


def test_what_cannot_be_changed_is_refused(world: World) -> None:
    with pytest.raises(NotFound, match="versions 1 to 2, not 7"):
        change(world, APRIL, version=7)
    with pytest.raises(NotFound, match="has no subscription to 'Plan'"):
        change(world, APRIL, contracts=["X"])
    with pytest.raises(Invalid, match="leave out the day"):
        change(world, APRIL, only="new", on=APRIL)
    with world.database.transaction() as session, pytest.raises(NotFound, match="not declared"):
        migrate(session, "None", said(APRIL))
