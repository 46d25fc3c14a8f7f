"""Pools whose price looks at each event: one order of time over all objects; each pays for its own events."""

from datetime import date
from pathlib import Path

import pytest

from billing.verify import differences, verify
from storage.database import Database
from storage.detail import explain
from tests.usecases.changing import World, contract, plans
from tests.usecases.test_pools import APRIL, FIRST, MAY, data, detail, per_unit, world

JUNE = date(2022, 6, 30)


def percentage(more: str) -> str:
    return f"{{model: percentage, rate: 1, {more}}}"


def fleet(here: World, *names: str) -> None:
    for name in names:
        here.active("A", FIRST, name)


def lines(here: World, until: date) -> list[tuple[str, str, int]]:
    return [
        (line.component, str(line.quantity), line.net_minor)
        for invoice in here.close(until).invoices
        for line in invoice.lines
    ]


def test_the_first_events_of_the_fleet_are_free_whoever_had_them(database: Database, tmp_path: Path) -> None:
    here = world(database, data(percentage('fixed_fee: "0.50", free_events: 2')))
    fleet(here, "IOT_1", "IOT_2", "IOT_3")
    here.uses(100, "2022-04-03T10:00:00+00:00", "IOT_2")
    here.uses(200, "2022-04-02T10:00:00+00:00", "IOT_1")
    here.uses(300, "2022-04-04T10:00:00+00:00", "IOT_1")
    here.uses(400, "2022-04-05T10:00:00+00:00", "IOT_2")
    (invoice,) = here.close(APRIL).invoices
    # 200 and 100 are free, by time; 300 and 400 cost 1 % and 0.50 each. The third object has none.
    assert [(it.component, str(it.quantity), it.net_minor) for it in invoice.lines] == [
        ("Percentage", "700", 700),
        ("Fixed fee", "2", 100),
    ]
    assert detail(database, invoice.number, tmp_path) == [
        ("IOT_1", "300", "3.00"),
        ("IOT_2", "400", "4.00"),
        ("IOT_1", "1", "0.50"),
        ("IOT_2", "1", "0.50"),
    ]
    with database.snapshot() as session:
        shown = [
            (line.line.component, share.detail.reference, len(list(share.records)))
            for line in explain(session, invoice.number)
            for share in line.shares
        ]
    assert shown == [(name, who, 2) for name in ("Percentage", "Fixed fee") for who in ("IOT_1", "IOT_2")]
    assert lines(here, MAY) == []


def test_a_late_event_takes_the_place_of_a_free_one(database: Database, tmp_path: Path) -> None:
    here = world(database, data(percentage("free_events: 1")))
    fleet(here, "IOT_1", "IOT_2")
    here.uses(1000, "2022-04-10T10:00:00+00:00", "IOT_1")
    here.uses(3000, "2022-04-11T10:00:00+00:00", "IOT_2")
    assert lines(here, APRIL) == [("Percentage", "3000", 3000)]
    here.uses(500, "2022-04-01T10:00:00+00:00", "IOT_2")
    (invoice,) = here.close(MAY).invoices
    # The late one is the first now, so that of the first object is charged; the second object owes what it owed.
    assert [(it.net_minor, it.adjustment) for it in invoice.lines] == [(1000, True)]
    assert detail(database, invoice.number, tmp_path) == [("IOT_1", "1000", "10.00")]


def test_limits_of_an_event_add_to_one_object_and_take_from_another(database: Database, tmp_path: Path) -> None:
    here = world(database, data(percentage('minimum: "2", maximum: "5"')))
    fleet(here, "IOT_1", "IOT_2")
    here.uses(100, "2022-04-10T10:00:00+00:00", "IOT_1")  # 1.00, at least 2.00
    here.uses(900, "2022-04-11T10:00:00+00:00", "IOT_2")  # 9.00, at most 5.00
    (invoice,) = here.close(APRIL).invoices
    assert [(it.component, it.net_minor) for it in invoice.lines] == [
        ("Percentage", 1000),
        ("Minimum and maximum per event", -300),
    ]
    assert [(who, net) for who, _, net in detail(database, invoice.number, tmp_path)] == [
        ("IOT_1", "1.00"),
        ("IOT_2", "9.00"),
        ("IOT_1", "1.00"),
        ("IOT_2", "-4.00"),
    ]


def test_what_is_free_in_total_ends_inside_an_event_of_the_fleet(database: Database, tmp_path: Path) -> None:
    here = world(database, data(percentage('fixed_fee: "1", free_total: "250"'), "contract"))
    fleet(here, "IOT_1", "IOT_2")
    here.uses(200, "2022-04-10T10:00:00+00:00", "IOT_1")
    here.uses(100, "2022-04-11T10:00:00+00:00", "IOT_2")
    here.uses(300, "2022-04-12T10:00:00+00:00", "IOT_1")
    (invoice,) = here.close(APRIL).invoices
    assert [(it.component, str(it.quantity)) for it in invoice.lines] == [("Percentage", "350"), ("Fixed fee", "2")]
    assert [(who, quantity) for who, quantity, _ in detail(database, invoice.number, tmp_path)] == [
        ("IOT_1", "300"),
        ("IOT_2", "50"),
        ("IOT_1", "1"),
        ("IOT_2", "1"),
    ]


def test_each_value_of_a_breakdown_has_free_events_of_its_own(database: Database, tmp_path: Path) -> None:
    by_zone = data(percentage('fixed_fee: "1", free_events: 1')).replace("metric: usage", "metric: usage, by: zone")
    here = world(database, by_zone)
    fleet(here, "IOT_1", "IOT_2")
    here.uses(100, "2022-04-10T10:00:00+00:00", "IOT_1", zone="a")
    here.uses(200, "2022-04-11T10:00:00+00:00", "IOT_2", zone="a")
    here.uses(400, "2022-04-12T10:00:00+00:00", "IOT_2", zone="b")
    here.uses(800, "2022-04-13T10:00:00+00:00", "IOT_1", zone="b")
    (invoice,) = here.close(APRIL).invoices
    assert [it.component for it in invoice.lines] == [
        "zone: a",
        "zone: a / Fixed fee",
        "zone: b",
        "zone: b / Fixed fee",
    ]
    assert [(who, net) for who, _, net in detail(database, invoice.number, tmp_path)] == [
        ("IOT_2", "2.00"),
        ("IOT_2", "1.00"),
        ("IOT_1", "8.00"),
        ("IOT_1", "1.00"),
    ]


def test_a_fixed_fee_without_anything_free_is_that_of_each_objects_events(database: Database, tmp_path: Path) -> None:
    here = world(database, data(percentage('fixed_fee: "1"')))
    fleet(here, "IOT_1", "IOT_2")
    here.uses(900, "2022-04-10T10:00:00+00:00", "IOT_1")
    here.uses(50, "2022-04-11T10:00:00+00:00", "IOT_2")
    here.uses(50, "2022-04-12T10:00:00+00:00", "IOT_2")
    (invoice,) = here.close(APRIL).invoices
    assert [(who, net) for who, _, net in detail(database, invoice.number, tmp_path)] == [
        ("IOT_1", "9.00"),
        ("IOT_2", "1.00"),
        ("IOT_1", "1.00"),
        ("IOT_2", "2.00"),
    ]


def test_a_discount_of_a_pool_is_given_to_each_by_what_it_pays(database: Database, tmp_path: Path) -> None:
    here = world(database, data(percentage('fixed_fee: "1"'), more=", discount: {percent: 50}"))
    fleet(here, "IOT_1", "IOT_2")
    here.uses(900, "2022-04-10T10:00:00+00:00", "IOT_1")
    here.uses(100, "2022-04-11T10:00:00+00:00", "IOT_2")
    (invoice,) = here.close(APRIL).invoices
    assert [(who, net) for who, _, net in detail(database, invoice.number, tmp_path)][-2:] == [
        ("IOT_1", "-5.00"),
        ("IOT_2", "-1.00"),
    ]


def test_free_events_of_a_timeline_are_those_of_the_fleet(database: Database, tmp_path: Path) -> None:
    charge = (
        '{name: Stops, type: event, event: suspended, scope: subscription, vat_rate: "20", '
        'price: {model: percentage, rate: 0, fixed_fee: "3", free_events: 1}}'
    )
    here = world(database, charge)
    fleet(here, "IOT_1", "IOT_2")
    here.do("suspend", date(2022, 4, 12), "IOT_2", on=date(2022, 4, 12))
    here.do("suspend", date(2022, 4, 14), "IOT_1", on=date(2022, 4, 14))
    (invoice,) = here.close(APRIL).invoices
    assert detail(database, invoice.number, tmp_path) == [("IOT_1", "1", "3.00")]


def test_a_rule_over_the_events_of_a_fleet_reads_them_in_the_order_of_time(database: Database, tmp_path: Path) -> None:
    here = world(database, data('{model: rule, expression: "latest * 2.0 + max"}'))
    fleet(here, "IOT_1", "IOT_2")
    here.uses(7, "2022-04-12T10:00:00+00:00", "IOT_1")
    here.uses(21, "2022-04-10T10:00:00+00:00", "IOT_2")
    (invoice,) = here.close(APRIL).invoices
    assert [it.net_minor for it in invoice.lines] == [3500]  # 2 x 7 + 21
    assert [(who, net) for who, _, net in detail(database, invoice.number, tmp_path)] == [
        ("IOT_1", "8.75"),
        ("IOT_2", "26.25"),
    ]


def test_an_object_on_two_subscriptions_uses_once_and_brings_twice(database: Database) -> None:
    charge = data(per_unit("1", "10"), "contract", more=", limits: item")
    text = plans(A=[charge], B=[charge]) + "contracts:\n" + contract("C", "A", "B")
    here = World(database, text)
    here.active("A", FIRST, "IOT_1", term_months=1)
    here.close(APRIL)
    here.do("activate", MAY, "IOT_1", subscription="B", starts_on=FIRST, term_months=1)
    here.uses(50, "2022-04-10T10:00:00+00:00", "IOT_1")
    (invoice,) = here.close(MAY).invoices
    assert [(str(it.quantity), it.net_minor) for it in invoice.lines] == [("30", 3000)]
    with database.snapshot() as session:
        shown = [len(list(share.records)) for line in explain(session, invoice.number) for share in line.shares]
    assert shown == [1]


def test_an_amount_of_an_event_that_was_changed_by_hand_in_a_pool_is_found(database: Database) -> None:
    here = world(database, data(percentage('fixed_fee: "1", free_events: 1')))
    fleet(here, "IOT_1", "IOT_2")
    here.uses(900, "2022-04-10T10:00:00+00:00", "IOT_1")
    here.uses(100, "2022-04-11T10:00:00+00:00", "IOT_2")
    here.close(APRIL)
    with database.transaction() as session:
        session.connection().exec_driver_sql("UPDATE usage_record SET quantity = 700 WHERE quantity = 100")
        assert any("is worth" in it.message for it in differences(verify(session)))
        session.rollback()


@pytest.mark.parametrize("scope", ["subscription", "contract"])
def test_events_count_in_the_pool_while_their_object_is_there(database: Database, scope: str) -> None:
    here = world(database, data(percentage('fixed_fee: "1", free_events: 1'), scope))
    fleet(here, "IOT_1", "IOT_2")
    here.uses(100, "2022-04-10T10:00:00+00:00", "IOT_1")
    here.uses(100, "2022-04-20T10:00:00+00:00", "IOT_1")
    here.uses(100, "2022-04-21T10:00:00+00:00", "IOT_2")
    assert [line[3] for line in here.bills(APRIL)] == [200, 200]
    here.do("terminate", date(2022, 5, 10), "IOT_1", on=date(2022, 4, 15))
    # Its second event is no more the pool's: one charged event is left of two.
    assert [line[3] for line in here.bills(JUNE)] == [-100, -100]
