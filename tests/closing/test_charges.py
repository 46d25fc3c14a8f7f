"""Charges and prices through the whole close: from the plan's entry to the lines of the invoice."""

from datetime import date
from typing import Any

import pytest
from sqlmodel import select

from billing.verify import differences, verify
from storage.database import Database
from storage.tables import ContractItem, Suspension
from tests.closing.fleet import Fleet

TIERS = [{"up_to": 10, "unit_price": "2", "flat_fee": "5"}, {"up_to": None, "unit_price": "1"}]


def usage(price: dict[str, Any], **keys: Any) -> dict[str, Any]:
    calculator = {"metric": "usage", "price": price, **keys.pop("calculator", {})}
    return {"name": "Usage", "type": "usage", "vat_rate": "20", "calculator": calculator, **keys}


PER_UNIT = {"model": "per_unit", "unit_price": "1"}


@pytest.mark.parametrize(
    "charge,lines",
    [
        (usage({"model": "volume", "tiers": TIERS}), [("Tier 2", "26", 2600)]),
        (usage({"model": "stairstep", "steps": [{"up_to": None, "amount": "40"}]}), [("Step 1", "1", 4000)]),
        (usage({"model": "package", "size": 10, "price": "4"}), [("Packages", "3", 1200)]),
        (
            usage({"model": "percentage", "rate": "1.5", "fixed_fee": "0.10"}),
            [("Percentage", "26", 39), ("Fixed fee", "2", 20)],
        ),
        (usage({"model": "dynamic", "markup": "10"}), [("Amount", "26", 2860)]),
        (usage(PER_UNIT, calculator={"convert": {"divide_by": 10, "round": "up"}}), [("Units", "3", 300)]),
        (
            usage(PER_UNIT, calculator={"convert": {"divide_by": 12, "round": "up", "per": "record"}}),
            [("Units", "3", 300)],
        ),
        (usage(PER_UNIT, calculator={"aggregation": "mean"}), [("Units", "13", 1300)]),
        (usage(PER_UNIT, minimum="30"), [("Units", "26", 2600), ("Minimum commitment", "4", 400)]),
        (usage(PER_UNIT, maximum="20"), [("Units", "26", 2600), ("Maximum", "-6", -600)]),
        (usage(PER_UNIT, discount={"percent": "50"}), [("Units", "26", 2600), ("Discount", "-13", -1300)]),
        (usage(PER_UNIT, multiplier="2"), [("Units", "26", 5200)]),
        (
            {"name": "Set-up", "type": "one_time", "vat_rate": "20", "amount": "99"},
            [("Fee", "1", 9900)],
        ),
        (
            {"name": "Fee", "type": "recurring", "vat_rate": "20", "amount": "31", "trial_days": 15},
            [("Fee", "0.5", 1550)],
        ),
    ],
)
def test_a_charge_reaches_its_lines(
    database: Database, charge: dict[str, Any], lines: list[tuple[str, str, int]]
) -> None:
    fleet = Fleet(database, charges=[charge])
    fleet.activate("IOT_1")
    fleet.uses("IOT_1", 20, "2022-04-14T10:00:00+00:00")
    fleet.uses("IOT_1", 6, "2022-04-15T10:00:00+00:00")
    (invoice,) = fleet.close(date(2022, 4, 30)).invoices
    found = [(line.component, str(line.quantity), line.net_minor) for line in invoice.lines]
    assert found == [(name, quantity.replace("0.5", "1/2"), minor) for name, quantity, minor in lines]
    assert fleet.close(date(2022, 4, 30)).invoices == ()
    with database.snapshot() as session:
        assert differences(verify(session)) == []


def test_a_minimum_is_prorated_and_one_line_for_a_fleet(database: Database) -> None:
    fleet = Fleet(database, charges=[usage(PER_UNIT, minimum="30")])
    fleet.activate("IOT_1")
    fleet.activate("IOT_2", starts_on=date(2022, 4, 16))
    fleet.uses("IOT_2", 5, "2022-04-20T10:00:00+00:00")
    (invoice,) = fleet.close(date(2022, 4, 30)).invoices
    assert [(line.component, line.net_minor) for line in invoice.lines] == [
        ("Units", 500),
        ("Minimum commitment", 4000),
    ]


def test_late_usage_lowers_what_was_missing_to_the_minimum(database: Database) -> None:
    fleet = Fleet(database, charges=[usage(PER_UNIT, minimum="30")])
    fleet.activate("IOT_1")
    fleet.uses("IOT_1", 10, "2022-04-20T10:00:00+00:00")
    fleet.close(date(2022, 4, 30))
    fleet.uses("IOT_1", 25, "2022-04-21T10:00:00+00:00")
    (invoice,) = fleet.close(date(2022, 5, 31)).invoices
    late = [(line.component, line.net_minor) for line in invoice.lines if line.adjustment]
    assert late == [("Units", 2500), ("Minimum commitment", -2000)]


def test_weeks_and_anniversaries_are_charged_with_the_month_they_end_in(database: Database) -> None:
    weekly = {"name": "Weekly", "type": "recurring", "vat_rate": "20", "amount": "7", "every": "week"}
    monthly = {"name": "Monthly", "type": "recurring", "vat_rate": "20", "amount": "30", "anchor": "anniversary"}
    fleet = Fleet(database, charges=[weekly, monthly])
    fleet.activate("IOT_1", starts_on=date(2022, 4, 14), ends_on=date(2022, 7, 14))
    (april,) = fleet.close(date(2022, 4, 30)).invoices
    assert [(line.charge, str(line.quantity)) for line in april.lines] == [("Weekly", "4/7"), ("Weekly", "1")]
    (may,) = fleet.close(date(2022, 5, 31)).invoices
    assert [(line.charge, str(line.quantity)) for line in may.lines] == [*[("Weekly", "1")] * 5, ("Monthly", "1")]


def test_seconds_are_those_of_the_real_days(database: Database) -> None:
    """April 2022 has 720 hours in Paris, October 745: an hour is 1.00."""
    fees = [
        {"name": name, "type": "recurring", "vat_rate": "20", "amount": amount, "prorate": "second"}
        for name, amount in (("April", "720"), ("October", "745"))
    ]
    fleet = Fleet(database, charges=fees)
    fleet.activate("IOT_1", starts_on=date(2022, 4, 16), ends_on=date(2022, 10, 31))
    with database.transaction() as session:
        item = session.exec(select(ContractItem)).one()
        session.add(Suspension(contract_item_id=item.id or 0, starts_on=date(2022, 4, 20), ends_on=date(2022, 4, 22)))
    found = {}
    for month in (date(2022, 4, 30), date(2022, 10, 31)):
        (*_, last) = fleet.close(month).invoices
        found.update({(month.month, line.charge): line.net_minor for line in last.lines})
    assert (found[4, "April"], found[10, "October"]) == (13 * 24 * 100, (745 - 24) * 100)
