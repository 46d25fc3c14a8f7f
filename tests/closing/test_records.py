"""What totals do not tell, through the whole close: percentiles, levels carried in, prices that look at each event."""

from datetime import date
from typing import Any

import pytest
from sqlalchemy import text

from billing.verify import differences, verify
from storage.database import Database
from storage.invoices import InvoiceDocument
from tests.closing.fleet import Fleet

PER_UNIT = {"model": "per_unit", "unit_price": "1"}
APRIL, MAY, JUNE = date(2022, 4, 30), date(2022, 5, 31), date(2022, 6, 30)


def usage(aggregation: str = "sum", price: dict[str, Any] = PER_UNIT, **keys: Any) -> dict[str, Any]:
    calculator = {"metric": "usage", "aggregation": aggregation, "price": price, **keys.pop("calculator", {})}
    return {"name": "Usage", "type": "usage", "vat_rate": "20", "calculator": calculator, **keys}


def lines(invoice: InvoiceDocument) -> list[tuple[str, str, int]]:
    return [(line.component, str(line.quantity), line.net_minor) for line in invoice.lines]


def in_books(database: Database) -> bool:
    with database.snapshot() as session:
        return differences(verify(session)) == []


@pytest.mark.parametrize(
    "charge,expected",
    [
        (usage("min"), [("Units", "2", 200)]),
        (usage("percentile", calculator={"percentile": "50"}), [("Units", "6", 600)]),
        (usage("percentile"), [("Units", "20", 2000)]),
        # 28 units, of which the first event (20) and 3 of the second are free; each charged event costs at least 1.
        (
            usage(price={"model": "percentage", "rate": "10", "free_total": "23", "fixed_fee": "0.10", "minimum": "1"}),
            [("Percentage", "5", 50), ("Fixed fee", "2", 20), ("Minimum and maximum per event", "13/10", 130)],
        ),
        # 20 from the 14th, 26 from the 15th, 28 from the 16th on, of 30 days: (20 + 26 + 15 * 28) / 30.
        (usage("sum", calculator={"recurring": True}), [("Units", "233/15", 1553)]),
        # The same, but from 10:00 UTC (12:00 in Paris) on: 20 + 26 + 14.5 * 28 days.
        (usage("weighted_sum"), [("Units", "226/15", 1507)]),
        # 20 for one day, 6 for one day, 2 for 14.5 days, of 30.
        (usage("weighted_mean"), [("Units", "11/6", 183)]),
    ],
)
def test_a_period_is_measured_from_its_records(
    database: Database, charge: dict[str, Any], expected: list[tuple[str, str, int]]
) -> None:
    fleet = Fleet(database, charges=[charge])
    fleet.activate("IOT_1")
    fleet.activate("SILENT")
    fleet.uses("IOT_1", 20, "2022-04-14T10:00:00+00:00")
    fleet.uses("IOT_1", 6, "2022-04-15T10:00:00+00:00")
    fleet.uses("IOT_1", 2, "2022-04-16T10:00:00+00:00")
    (invoice,) = fleet.close(APRIL).invoices
    assert lines(invoice) == expected
    assert fleet.close(APRIL).invoices == ()
    assert in_books(database)


@pytest.mark.parametrize(
    "aggregation,keys,may,late",
    [
        # 5 carried in; the 10 that come late were there from 30 April 12:00 on: half a day of April, all of May.
        ("weighted_sum", {}, 500, [("Units", "1/6", 17), ("Units", "10", 1000)]),
        ("weighted_mean", {}, 500, [("Units", "1/12", 8), ("Units", "5", 500)]),
        ("sum", {"recurring": True}, 500, [("Units", "1/3", 33), ("Units", "10", 1000)]),
    ],
)
def test_a_level_is_carried_into_the_next_period_and_what_comes_late_corrects_both(
    database: Database, aggregation: str, keys: dict[str, Any], may: int, late: list[tuple[str, str, int]]
) -> None:
    fleet = Fleet(database, charges=[usage(aggregation, calculator=keys)])
    fleet.activate("IOT_1")
    fleet.uses("IOT_1", 5, "2022-03-31T21:30:00+00:00")
    (april_invoice,) = fleet.close(APRIL).invoices
    assert april_invoice.net_minor == 500
    (may_invoice,) = fleet.close(MAY).invoices
    assert (lines(may_invoice)) == [("Units", "5", may)]
    fleet.uses("IOT_1", 10, "2022-04-30T10:00:00+00:00")
    (june_invoice,) = fleet.close(JUNE).invoices
    assert lines(june_invoice)[1:] == late
    assert in_books(database)


def test_the_first_periods_of_each_item_have_their_discount(database: Database) -> None:
    monthly = {"name": "Fee", "type": "recurring", "vat_rate": "20", "amount": "10"}
    fleet = Fleet(
        database,
        charges=[
            {**monthly, "discount": {"percent": "50", "periods": 2}},
            usage(discount={"amount": "2", "periods": 1}, trial_days=40),
        ],
    )
    fleet.activate("IOT_1")
    fleet.activate("IOT_2", starts_on=date(2022, 5, 1))
    for month in (4, 5, 6):
        fleet.uses("IOT_1", 31, f"2022-{month:02d}-20T10:00:00+00:00")
    found = [[line[::2] for line in lines(fleet.close(until).invoices[0])] for until in (APRIL, MAY, JUNE)]
    assert found == [
        [("Fee", 1000), ("Discount", -500)],
        # The trial ends on 11 May: 21 of the 31 days of the first charged period have their part of the discount.
        [("Fee", 2000), ("Discount", -1000), ("Units", 3100), ("Discount", -135)],
        [("Fee", 2000), ("Discount", -500), ("Units", 3100)],
    ]
    assert in_books(database)


def test_a_record_that_was_changed_by_hand_is_found(database: Database) -> None:
    fleet = Fleet(database, charges=[usage("percentile")])
    fleet.activate("IOT_1")
    fleet.uses("IOT_1", 20, "2022-04-14T10:00:00+00:00")
    fleet.close(APRIL)
    with database.transaction() as session:
        session.connection().execute(text("UPDATE usage_record SET quantity = quantity + 1"))
        assert "records" in {finding.check for finding in verify(session)}
