"""Rules of one's own through the whole close: what they bill, what they read, and what happens when one fails."""

from datetime import date
from typing import Any

import pytest

from billing.verify import differences, verify
from storage.database import Database
from tests.closing.fleet import USAGE, Fleet

APRIL, MAY = date(2022, 4, 30), date(2022, 5, 31)


def ruled(expression: str, **keys: Any) -> dict[str, Any]:
    price = {"model": "rule", "expression": expression}
    calculator = {"metric": "usage", "price": price, **keys.pop("calculator", {})}
    return {"name": "Own", "type": "usage", "vat_rate": "20", "calculator": calculator, **keys}


@pytest.mark.parametrize(
    "charge,minor",
    [
        (ruled("quantity * 0.10 + count"), 460),
        (ruled("quantity / 3"), 867),
        (ruled("max - min + latest + mean + sum"), 5900),
        (ruled("attributes.site == 'north' ? 7 : 8"), 700),
        (ruled("has(attributes.power) ? double(attributes.power) * part : 0"), 475),
        (ruled("days + number * 100"), 11500),
        (ruled("quantity * 10", maximum="30"), 1500),
        (ruled("quantity * 10", discount={"percent": "50"}), 13000),
        (ruled("quantity", calculator={"convert": {"divide_by": 10, "round": "up"}}), 300),
        (ruled("quantity", calculator={"aggregation": "percentile"}), 2000),
        (
            {"name": "Own", "type": "event", "event": "activated", "vat_rate": "20"}
            | {"price": {"model": "rule", "expression": "5 + sum"}},
            500,
        ),
    ],
)
def test_a_rule_is_billed(database: Database, charge: dict[str, Any], minor: int) -> None:
    """Half of April, from the 16th on."""
    fleet = Fleet(database, charges=[charge])
    fleet.activate("IOT_1", starts_on=date(2022, 4, 16), attributes={"site": "north", "power": 9.5})
    fleet.uses("IOT_1", 20, "2022-04-17T10:00:00+00:00")
    fleet.uses("IOT_1", 6, "2022-04-18T10:00:00+00:00")
    (invoice,) = fleet.close(APRIL).invoices
    assert sum(line.net_minor for line in invoice.lines) == minor
    assert fleet.close(APRIL).invoices == ()
    with database.snapshot() as session:
        assert differences(verify(session)) == []


def test_late_usage_bills_the_difference_of_a_rule(database: Database) -> None:
    fleet = Fleet(database, charges=[ruled("quantity <= 10 ? 20 : 20 + (quantity - 10) * 0.5")])
    fleet.activate("IOT_1")
    fleet.activate("IOT_2")
    fleet.uses("IOT_1", 8, "2022-04-17T10:00:00+00:00")
    (april,) = fleet.close(APRIL).invoices
    assert [(line.label, line.net_minor, line.unit) for line in april.lines] == [
        ("Premium Fleet Subscription / Own", 4000, "amount")
    ]
    fleet.uses("IOT_1", 8, "2022-04-18T10:00:00+00:00")
    (may,) = fleet.close(MAY).invoices
    assert [(line.net_minor, line.adjustment) for line in may.lines] == [(4000, False), (300, True)]


def test_a_rule_that_fails_fails_its_contract_and_99_others_are_closed(sqlite_database: Database) -> None:
    fleets = [Fleet(sqlite_database, charges=[USAGE], contract=f"C{n:03d}") for n in range(99)]
    failing = Fleet(sqlite_database, charges=[USAGE, ruled("10 / (quantity - 7)")], contract="C099")
    for n, fleet in enumerate([*fleets, failing]):
        fleet.activate(f"IOT_{n}")
        fleet.uses(f"IOT_{n}", 7, "2022-04-17T10:00:00+00:00")
    report = failing.close(APRIL)
    assert (report.months, len(report.invoices)) == (99, 99)
    (failure,) = report.failures
    assert (failure.contract, failure.month_starts_on) == ("C099", date(2022, 4, 1))
    assert failure.message == (
        "IOT_99, Own, 2022-04-01 to 2022-04-30: the rule cannot be evaluated: at character 4: "
        "this divides by 0; ask first whether it is 0"
    )
    failing.uses("IOT_99", 1, "2022-04-18T10:00:00+00:00")
    assert [(it.number, it.net_minor) for it in failing.close(APRIL).invoices] == [("INV/2022/04/0100", 3000)]


@pytest.mark.parametrize(
    "expression,message",
    [
        ("5 - quantity", "the rule comes to -2, but a price is 0 or more; write math.greatest(0, ...) around it"),
        ("attributes.site == 'x' ? 1 : 2", "at character 1: the object has no attribute 'site'"),
    ],
)
def test_a_rule_that_gives_no_price_is_reported_with_its_schedule(
    sqlite_database: Database, expression: str, message: str
) -> None:
    fleet = Fleet(sqlite_database, charges=[ruled(expression)])
    fleet.activate("IOT_1")
    fleet.uses("IOT_1", 7, "2022-04-17T10:00:00+00:00")
    (failure,) = fleet.close(APRIL).failures
    assert failure.message.startswith("IOT_1, Own, 2022-04-01 to 2022-04-30: ")
    assert message in failure.message
