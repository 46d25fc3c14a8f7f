"""Filter, breakdown and unique count through the whole close: one price for each value, and nothing silently free."""

import csv
from collections import defaultdict
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from billing.verify import differences, verify
from gateway.cli.explaining import explained
from gateway.extraction import export_invoice
from storage.database import Database
from storage.invoices import InvoiceDocument
from tests.closing.fleet import Fleet

PER_UNIT = {"model": "per_unit", "unit_price": "1"}
NIGHT_AND_DAY = {
    "night": {"model": "per_unit", "unit_price": "0.08"},
    "day": {"model": "per_unit", "unit_price": "0.20"},
}
APRIL, MAY, JUNE = date(2022, 4, 30), date(2022, 5, 31), date(2022, 6, 30)
TIERS = {"model": "graduated", "tiers": [{"up_to": "10", "unit_price": "1"}, {"up_to": None, "unit_price": "0.5"}]}


def charge(**calculator: Any) -> dict[str, Any]:
    prices = {} if "prices" in calculator else {"price": PER_UNIT}
    return {
        "name": "Usage",
        "type": "usage",
        "vat_rate": "20",
        "calculator": {"metric": "usage", "aggregation": "sum", **prices, **calculator},
    }


def lines(invoice: InvoiceDocument) -> list[tuple[str, str, int]]:
    return [(line.component, str(line.quantity), line.net_minor) for line in invoice.lines]


def in_books(database: Database) -> bool:
    with database.snapshot() as session:
        return differences(verify(session)) == []


def of_zones(fleet: Fleet, reference: str = "IOT_1") -> None:
    """100 at night and 50 by day of one direction, 7 of the other, 3 that say nothing."""
    fleet.uses(reference, 60, "2022-04-10T01:00:00+00:00", zone="night", direction="out")
    fleet.uses(reference, 40, "2022-04-11T01:00:00+00:00", zone="night", direction="out", tariff=7)
    fleet.uses(reference, 50, "2022-04-10T12:00:00+00:00", zone="day", direction="out")
    fleet.uses(reference, 7, "2022-04-10T13:00:00+00:00", zone="day", direction="in")
    fleet.uses(reference, 3, "2022-04-10T14:00:00+00:00")


CASES = [
    (charge(), [("Units", "160", 16000)]),
    (charge(filter={"direction": ["out"]}), [("Units", "150", 15000)]),
    (charge(filter={"direction": ["out", "in"], "zone": "day"}), [("Units", "57", 5700)]),
    (charge(filter={"tariff": [7]}), [("Units", "40", 4000)]),
    (charge(aggregation="count", filter={"zone": ["night"]}), [("Units", "2", 200)]),
    (charge(aggregation="max", filter={"zone": ["day"]}), [("Units", "50", 5000)]),
    (charge(aggregation="min", filter={"zone": ["day"]}), [("Units", "7", 700)]),
    (charge(aggregation="mean", filter={"zone": ["night"]}), [("Units", "50", 5000)]),
    (charge(aggregation="latest", filter={"zone": ["night"]}), [("Units", "40", 4000)]),
    (charge(aggregation="percentile", filter={"zone": ["night"]}), [("Units", "60", 6000)]),
    (charge(aggregation="unique_count", property="zone"), [("Units", "2", 200)]),
    (charge(aggregation="unique_count", property="zone", filter={"tariff": 7}), [("Units", "1", 100)]),
    (
        charge(by="zone", prices={**NIGHT_AND_DAY, "default": PER_UNIT}),
        [("zone: day", "57", 1140), ("zone: night", "100", 800), ("zone: none", "3", 300)],
    ),
    (
        charge(by="zone", filter={"direction": ["out"]}, prices=NIGHT_AND_DAY),
        [("zone: day", "50", 1000), ("zone: night", "100", 800)],
    ),
    (charge(by="tariff", filter={"zone": "night"}), [("tariff: none", "60", 6000), ("tariff: 7", "40", 4000)]),
    (
        charge(by="zone", price=TIERS, filter={"direction": ["out"]}),
        [
            *(("zone: day / Tier 1", "10", 1000), ("zone: night / Tier 1", "10", 1000)),
            *(("zone: day / Tier 2", "40", 2000), ("zone: night / Tier 2", "90", 4500)),
        ],
    ),
    (
        # A fee of 1 for each event beside 10 percent: 2 events at night, 2 by day.
        charge(
            by="zone", filter={"zone": ["day", "night"]}, price={"model": "percentage", "rate": "10", "fixed_fee": "1"}
        ),
        [
            *(("zone: day", "57", 570), ("zone: day / Fixed fee", "2", 200)),
            *(("zone: night", "100", 1000), ("zone: night / Fixed fee", "2", 200)),
        ],
    ),
]


@pytest.mark.parametrize("definition,expected", CASES, ids=[str(n) for n in range(len(CASES))])
def test_what_usage_says_decides_what_it_costs(
    database: Database, definition: dict[str, Any], expected: list[tuple[str, str, int]]
) -> None:
    fleet = Fleet(database, charges=[definition])
    fleet.activate("IOT_1")
    fleet.activate("SILENT")
    of_zones(fleet)
    (invoice,) = fleet.close(APRIL).invoices
    assert sorted(lines(invoice)) == sorted(expected)
    assert fleet.close(APRIL).invoices == ()
    assert in_books(database)


def test_a_fleet_has_one_line_for_each_value(database: Database) -> None:
    fleet = Fleet(database, charges=[charge(by="zone", prices={**NIGHT_AND_DAY, "default": PER_UNIT})])
    for reference in ("IOT_1", "IOT_2", "IOT_3"):
        fleet.activate(reference)
        of_zones(fleet, reference)
    (invoice,) = fleet.close(APRIL).invoices
    assert [(line.label.rpartition(" / ")[2], line.object_count) for line in invoice.lines] == [
        ("zone: none", 3),
        ("zone: day", 3),
        ("zone: night", 3),
    ]
    assert invoice.net_minor == 3 * (1140 + 800 + 300)


def test_a_filter_that_matches_nothing_makes_no_line(database: Database) -> None:
    fleet = Fleet(database, charges=[charge(filter={"zone": ["moon"]})])
    fleet.activate("IOT_1")
    of_zones(fleet)
    assert fleet.close(APRIL).invoices == ()
    assert next(it.status for it in fleet.schedules("IOT_1")) == "settled"
    assert in_books(database)


def test_what_is_counted_is_the_unit_of_its_line(database: Database) -> None:
    fleet = Fleet(
        database,
        charges=[
            {**charge(aggregation="count"), "name": "Count"},
            {**charge(aggregation="unique_count", property="zone"), "name": "Zones"},
            charge(),
        ],
    )
    fleet.activate("IOT_1")
    of_zones(fleet)
    (invoice,) = fleet.close(APRIL).invoices
    assert [(str(line.quantity), line.unit) for line in invoice.lines] == [
        ("5", "event"),
        ("2", "zone"),
        ("160", "unit"),
    ]


def test_late_usage_is_billed_as_a_difference_also_of_a_value_that_first_appears(database: Database) -> None:
    fleet = Fleet(database, charges=[charge(by="zone", price=TIERS)])
    fleet.activate("IOT_1")
    fleet.uses("IOT_1", 8, "2022-04-10T01:00:00+00:00", zone="night")
    assert lines(fleet.close(APRIL).invoices[0]) == [("zone: night / Tier 1", "8", 800)]
    fleet.uses("IOT_1", 4, "2022-04-11T01:00:00+00:00", zone="night")
    fleet.uses("IOT_1", 5, "2022-04-11T02:00:00+00:00", zone="day")
    (may,) = fleet.close(MAY).invoices
    assert sorted(lines(may)) == [
        ("zone: day / Tier 1", "5", 500),
        ("zone: night / Tier 1", "2", 200),
        ("zone: night / Tier 2", "2", 100),
    ]
    assert all(line.adjustment and line.period_starts_on == date(2022, 4, 1) for line in may.lines)
    assert fleet.close(JUNE).invoices == ()
    assert in_books(database)


def test_a_value_without_a_price_is_a_line_at_nothing_that_the_close_names(database: Database) -> None:
    fleet = Fleet(database, charges=[charge(by="zone", prices=NIGHT_AND_DAY)])
    fleet.activate("IOT_1")
    fleet.activate("IOT_2")
    of_zones(fleet)
    fleet.uses("IOT_2", 5, "2022-04-12T01:00:00+00:00", zone="moon")
    report = fleet.close(APRIL)
    (invoice,) = report.invoices
    assert [line for line in lines(invoice) if line[0].endswith("No price")] == [
        ("zone: moon / No price", "5", 0),
        ("zone: none / No price", "3", 0),
    ]
    assert [(it.invoice, it.component, str(it.quantity)) for it in report.unpriced] == [
        (invoice.number, "zone: moon / No price", "5"),
        (invoice.number, "zone: none / No price", "3"),
    ]
    with database.snapshot() as session:
        told = [it for it in verify(session) if it.check == "unpriced"]
    assert {(it.subject, it.severity) for it in told} == {(invoice.number, "information")}
    assert "5 of Premium Fleet Subscription / Usage / zone: moon / No price" in told[0].message
    assert in_books(database)


def test_usage_that_no_filter_takes_is_told(database: Database) -> None:
    fleet = Fleet(database, charges=[charge(filter={"zone": "day"}), {**charge(filter={"tariff": 7}), "name": "Seven"}])
    fleet.activate("IOT_1")
    of_zones(fleet)
    fleet.close(APRIL)
    with database.snapshot() as session:
        (told,) = [it for it in verify(session) if it.severity == "information"]
    # 60 at night and 3 that say nothing; 40 at night are tariff 7.
    assert (
        told.message
        == "2 usage records of usage of 1 objects are measured by no charge of their plan: nobody pays them"
    )
    assert in_books(database)


HOSTILE_VALUES = [*("a / Step 1", "flat fee", "none", '"', '"none"', "a", "a / Tier 1", "Discount", "No price")]


def test_no_value_can_be_taken_for_another_or_for_a_part_of_a_price(database: Database) -> None:
    fleet = Fleet(database, charges=[charge(by="zone", price=TIERS)])
    fleet.activate("IOT_1")
    for hour, value in enumerate(HOSTILE_VALUES):
        fleet.uses("IOT_1", 11, f"2022-04-10T{hour:02d}:00:00+00:00", zone=value)
    fleet.uses("IOT_1", 11, "2022-04-11T01:00:00+00:00")
    report = fleet.close(APRIL)
    (invoice,) = report.invoices
    assert len({line.component for line in invoice.lines}) == 2 * (len(HOSTILE_VALUES) + 1)
    assert {line.unit for line in invoice.lines} == {"unit"}
    assert {line.net_minor for line in invoice.lines} == {1000, 50}
    assert report.unpriced == ()


@pytest.mark.parametrize(
    "calculator,april,may,late",
    [
        # Carried in: 5 at night. What comes late was there from 30 April 12:00 in Paris on.
        ({"aggregation": "weighted_sum", "filter": {"zone": "night"}}, 500, 500, [17, 1000]),
        ({"aggregation": "weighted_mean", "filter": {"zone": "night"}}, 500, 500, [8, 500]),
        ({"aggregation": "sum", "recurring": True, "filter": {"zone": "night"}}, 500, 500, [33, 1000]),
        ({"aggregation": "sum", "recurring": True, "by": "zone"}, 1400, 1400, [33, 1000]),
        # One card is there from before; a second one comes on the last day of April.
        ({"aggregation": "unique_count", "property": "card", "recurring": True}, 100, 100, [3, 100]),
    ],
)
def test_a_level_is_carried_with_its_properties(
    database: Database, calculator: dict[str, Any], april: int, may: int, late: list[int]
) -> None:
    fleet = Fleet(database, charges=[charge(**calculator)])
    fleet.activate("IOT_1")
    fleet.uses("IOT_1", 9, "2022-03-30T21:30:00+00:00", zone="day", card="x")
    fleet.uses("IOT_1", -1, "2022-03-30T23:30:00+00:00", card="x", zone="none of them")
    fleet.uses("IOT_1", 1, "2022-03-31T20:30:00+00:00", zone="none of them")
    fleet.uses("IOT_1", 5, "2022-03-31T21:30:00+00:00", zone="night", card="y")
    (april_invoice,) = fleet.close(APRIL).invoices
    assert april_invoice.net_minor == april
    (may_invoice,) = fleet.close(MAY).invoices
    assert may_invoice.net_minor == may
    fleet.uses("IOT_1", 10, "2022-04-30T10:00:00+00:00", zone="night", card="z")
    (june_invoice,) = fleet.close(JUNE).invoices
    assert [line.net_minor for line in june_invoice.lines if line.adjustment] == late
    assert in_books(database)


def test_a_set_of_properties_that_was_changed_by_hand_is_found(database: Database) -> None:
    fleet = Fleet(database, charges=[charge(by="zone", prices=NIGHT_AND_DAY)])
    fleet.activate("IOT_1")
    fleet.uses("IOT_1", 20, "2022-04-14T10:00:00+00:00", zone="day")
    fleet.close(APRIL)
    assert in_books(database)
    with database.transaction() as session:
        session.connection().execute(text("""UPDATE property_set SET content = '{"zone":"night"}'"""))
    assert not in_books(database)


def test_a_line_of_a_value_is_explained_by_its_own_records(database: Database, tmp_path: Path) -> None:
    fleet = Fleet(database, charges=[{**charge(by="zone", filter={"direction": "out"}, price=TIERS), "minimum": "200"}])
    fleet.activate("IOT_1")
    of_zones(fleet)
    fleet.uses("IOT_1", 9, "2022-04-12T12:00:00+00:00", zone="a / Tier 1", direction="out")
    (invoice,) = fleet.close(APRIL).invoices
    with database.snapshot() as session:
        told = {
            line["label"].partition(" / Usage / ")[2]: [
                str(record["quantity"]) for share in line["shares"] for record in share["records"]
            ]
            for line in explained(session, str(invoice.number))
        }
        export_invoice(session, str(invoice.number), tmp_path / "detail.csv", "csv", "usage")
    night, day = ["60", "40"], ["50"]
    assert told == {
        "zone: night / Tier 1": night,
        "zone: night / Tier 2": night,
        "zone: day / Tier 1": day,
        "zone: day / Tier 2": day,
        'zone: "a / Tier 1" / Tier 1': ["9"],
        "Minimum commitment": ["60", "50", "40", "9"],
    }
    with (tmp_path / "detail.csv").open(newline="") as stream:
        rows = [(row["component"], row["quantity"], row["properties"]) for row in csv.DictReader(stream)]
    assert ("zone: day / Tier 2", "50", "direction=out zone=day") in rows
    assert len(rows) == sum(len(found) for found in told.values())


NAMES = count()
ZONES = st.sampled_from(["night", "day", "moon", None])
EVENTS = st.lists(st.tuples(ZONES, st.integers(0, 500), st.integers(1, 29), st.booleans()), min_size=1, max_size=12)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS)
def test_a_breakdown_is_a_partition_of_the_unfiltered_total_on_both_databases(
    events: list[tuple[str | None, int, int, bool]], both: list[Database]
) -> None:
    """A plain price per unit: the values of `by` add up to what one line without it would be, late usage included."""
    invoices: list[list[InvoiceDocument]] = []
    name = f"IOT_{next(NAMES)}"
    for database in both:
        fleet = Fleet(database, contract=name, charges=[charge(), {**charge(by="zone"), "name": "By zone"}])
        fleet.activate(name)
        invoices.append([])
        for until, late in ((APRIL, False), (MAY, True)):
            for place, (zone, quantity, day, second) in enumerate(events):
                if second is late:
                    said = {} if zone is None else {"zone": zone}
                    fleet.uses(name, quantity, f"2022-04-{day:02d}T10:00:00+00:00", str(place), **said)
            invoices[-1] += fleet.close(until).invoices
    for documents in invoices:
        for document in documents:
            totals: dict[str, int] = defaultdict(int)
            for line in document.lines:
                totals[line.charge] += line.net_minor
            assert totals["Usage"] == totals["By zone"]
    on_sqlite, on_postgresql = invoices
    assert on_sqlite == on_postgresql
