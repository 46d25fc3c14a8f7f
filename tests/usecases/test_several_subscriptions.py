"""One object on several subscriptions at once: each is billed by its own plan, and each ends on its own day."""

from datetime import date

import pytest

from billing.core.errors import Conflict, Invalid, Refused
from storage import registry
from storage.database import Database
from tests.usecases.changing import World, contract, fee, per_unit, plans

FIRST, APRIL, MAY = date(2022, 4, 1), date(2022, 4, 30), date(2022, 5, 31)
ACTIVATED = '{name: Start, type: event, event: activated, vat_rate: "20", price: {model: per_unit, unit_price: "7"}}'
PLANS = plans(Day=[fee("30", "arrears"), ACTIVATED], Night=[fee("60", "arrears"), per_unit("2")])


def world(database: Database) -> World:
    it = World(
        database, PLANS + "contracts:\n" + contract("C", "Day", "Night") + contract("D", "Day", customer="OTHER")
    )
    it.active("Day", FIRST)
    return it


def test_an_active_object_takes_a_further_subscription_and_one_of_them_ends(database: Database) -> None:
    it = world(database)
    shown = it.ask("activate", date(2022, 4, 16), subscription="Night")
    it.do("activate", date(2022, 4, 16), subscription="Night")
    it.uses(3, "2022-04-20T10:00:00+00:00")
    with pytest.raises(Conflict, match="not on 'Dusk' now; its subscriptions: Day, Night"):
        it.do("terminate", date(2022, 4, 25), subscription="Dusk")
    it.do("terminate", date(2022, 4, 25), subscription="Night")

    # Day: 30.00 and its start; Night: ten of thirty days of 60.00, and 3 at 2.00.
    assert it.bills(APRIL) == [
        ("INV/2022/04/0001", "Day/Fee", "2022-04-01", 3000),
        ("INV/2022/04/0001", "Day/Units", "2022-04-01", 700),
        ("INV/2022/04/0001", "Night/Fee", "2022-04-01", 2000),
        ("INV/2022/04/0001", "Night/Units", "2022-04-01", 600),
    ]
    assert shown.net_minor()["C", "EUR", 2] == 3000  # fifteen days of Night, asked before anything was used
    assert [kind for kind, _ in it.events()][-2:] == ["subscription_added", "subscription_ended"]
    assert it.status() == "active"
    assert it.bills(MAY) == [("INV/2022/05/0001", "Day/Fee", "2022-05-01", 3000)]
    with database.snapshot() as session:
        (row,) = registry.list_objects(session)
    assert (row.contract, row.subscription) == ("C", "Day")
    it.do("terminate", date(2022, 6, 1))
    assert it.status() == "terminated"


def test_a_further_subscription_of_another_contract_is_on_its_invoice(database: Database) -> None:
    it = world(database)
    it.do("activate", date(2022, 4, 16), contract="D", subscription="Day")
    assert [(what, net) for _, what, _, net in it.bills(APRIL)] == [
        ("Day/Fee", 3000),
        ("Day/Units", 700),
        ("Day/Fee", 1500),
    ]
    with database.snapshot() as session:
        (row,) = registry.list_objects(session)
    assert (row.customer, row.contract) == ("FLEET", "C")


def test_the_same_subscription_again_is_refused(database: Database) -> None:
    it = world(database)
    for asked in ({}, {"subscription": "Day"}, {"contract": "C", "subscription": "Day"}):
        with pytest.raises(Refused, match="cannot activate an active object") as refused:
            it.do("activate", date(2022, 4, 16), **asked)
        assert "terminate" in refused.value.allowed
    it.do("suspend", date(2022, 4, 17))
    with pytest.raises(Refused, match="cannot activate a suspended object"):
        it.do("activate", date(2022, 4, 17), subscription="Night")


def test_a_suspension_stops_all_of_them_and_a_change_says_which_one_it_is_about(database: Database) -> None:
    it = world(database)
    it.do("activate", FIRST, subscription="Night")
    it.do("suspend", date(2022, 4, 11))
    it.do("resume", date(2022, 4, 21))
    with pytest.raises(Invalid, match="several subscriptions; say which one ends: Day, Night"):
        it.do("transfer", date(2022, 4, 21), contract="D", subscription="Day")
    it.do("transfer", date(2022, 4, 21), contract="D", subscription="Day", instead_of="Day")
    assert [(what, net) for _, what, _, net in it.bills(APRIL)] == [
        ("Day/Fee", 1000),
        ("Day/Units", 700),
        ("Night/Fee", 4000),
        ("Day/Fee", 1000),
    ]
