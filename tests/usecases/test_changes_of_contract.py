"""A transfer of an object to another contract: each is billed its own days, and no instant twice; figures by hand."""

from datetime import date

import pytest

from billing.core.errors import Conflict, Invalid, NotFound
from storage import registry
from storage.database import Database
from tests.usecases.changing import World, contract, fee, per_unit, plans

PLANS = plans(Plan=[fee("30"), per_unit("1")], Night=[per_unit("5")])


def world(database: Database) -> World:
    contracts = contract("C", "Plan", "Night") + contract("D", "Plan", starts_on="2022-04-05", customer="OTHER")
    far = contract("E", "Plan", more=", timezone: America/New_York")
    return World(database, PLANS + "contracts:\n" + contracts + far)


def test_the_old_contract_pays_until_the_day_before(database: Database) -> None:
    it = world(database)
    it.active("Plan", date(2022, 4, 1))
    it.uses(1, "2022-04-15T21:59:59Z")
    it.uses(10, "2022-04-15T22:00:00Z")
    it.close(date(2022, 4, 30))
    shown = it.ask("transfer", date(2022, 5, 3), contract="D", on=date(2022, 4, 16))
    it.do("transfer", date(2022, 5, 3), contract="D", on=date(2022, 4, 16))

    with database.snapshot() as session:
        [row] = registry.list_objects(session)
    assert (row.customer, row.contract, row.subscription) == ("OTHER", "D", "Plan")
    assert it.bills(date(2022, 5, 31)) == [
        ("CN/2022/05/0001", "Plan/Fee", "2022-04-01", -1500),
        ("CN/2022/05/0001", "Plan/Fee", "2022-05-01", -3000),
        ("CN/2022/05/0001", "Plan/Units", "2022-04-01", -1000),
        ("INV/2022/05/0001", "Plan/Fee", "2022-04-01", 1500),
        ("INV/2022/05/0001", "Plan/Fee", "2022-05-01", 3000),
        ("INV/2022/05/0001", "Plan/Fee", "2022-06-01", 3000),
        ("INV/2022/05/0001", "Plan/Units", "2022-04-01", 1000),
    ]
    assert shown.net_minor()["C", "EUR", 2] == -5500 - 3000


def test_between_zones_every_instant_is_billed_once(database: Database) -> None:
    it = world(database)
    it.active("Plan", date(2022, 4, 1))
    it.uses(1, "2022-04-15T21:59:59Z")
    it.uses(10, "2022-04-15T22:00:00Z")  # the 16th in Paris, still the 15th in New York
    it.uses(100, "2022-04-16T04:00:00Z")  # the 16th in New York
    it.do("transfer", date(2022, 4, 16), contract="E")

    usage = {(number, net) for number, what, _, net in it.bills(date(2022, 4, 30)) if what == "Plan/Units"}
    assert usage == {("INV/2022/04/0001", 100), ("INV/2022/04/0002", 11000)}


def test_a_suspended_object_stays_suspended_where_it_goes(database: Database) -> None:
    it = world(database)
    it.active("Plan", date(2022, 4, 1))
    it.do("suspend", date(2022, 4, 11))
    it.do("transfer", date(2022, 4, 16), contract="D")
    it.do("resume", date(2022, 4, 26))

    bills = it.bills(date(2022, 4, 30))
    fees = [(number, net) for number, what, period, net in bills if period == "2022-04-01"]
    assert fees == [("INV/2022/04/0001", 1000), ("INV/2022/04/0002", 500)]


def test_what_cannot_be_transferred_is_refused(database: Database) -> None:
    it = world(database)
    it.active("Plan", date(2022, 4, 1))
    with pytest.raises(Conflict, match="change its plan instead"):
        it.do("transfer", date(2022, 4, 10), contract="C")
    with pytest.raises(NotFound, match="not declared"):
        it.do("transfer", date(2022, 4, 10), contract="X")
    with pytest.raises(NotFound, match="has no subscription"):
        it.do("transfer", date(2022, 4, 10), contract="D", subscription="Night")
    with pytest.raises(Invalid, match="starts on 2022-04-05"):
        it.do("transfer", date(2022, 4, 10), contract="D", on=date(2022, 4, 2))
    with pytest.raises(Conflict, match="not on 'Night'"):
        it.do("transfer", date(2022, 4, 10), contract="D", instead_of="Night")
    it.verified()
