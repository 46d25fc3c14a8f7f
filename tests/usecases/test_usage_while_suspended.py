"""Usage while suspended: billed, free, or free and told, as the plan says; in every way of measuring."""

from datetime import date
from fractions import Fraction
from typing import Any

import pytest

from billing import catalogue
from billing.catalogue import CatalogueInvalid
from billing.unbilled import unbilled
from billing.verify import verify
from storage.database import Database
from tests.usecases.changing import World, contract, plans
from tests.usecases.test_reversals import METERED, UNIT, put

APRIL, MAY, JUNE = date(2022, 4, 30), date(2022, 5, 31), date(2022, 6, 30)


def charge(name: str, metric: str, aggregation: str, word: str, more: str = "") -> str:
    calculator = f"{{metric: {metric}, aggregation: {aggregation}, price: {UNIT}{more}}}"
    said = f", usage_while_suspended: {word}" if word else ""
    return f'{{name: {name}, type: usage, vat_rate: "20"{said}, calculator: {calculator}}}'


def world(database: Database, *charges: str, more: str = "") -> World:
    text = f"plans:\n  - name: P\n    charges: [{', '.join(charges)}]{more}\n"
    it = World(database, text + "contracts:\n" + contract("C", "P"), METERED)
    it.active("P", date(2022, 4, 1))
    return it


def worth(it: World, until: date) -> dict[str, int]:
    """What a close bills, by charge and first day of the period."""
    found: dict[str, int] = {}
    for invoice in it.close(until).invoices:
        sign = -1 if invoice.kind == "credit_note" else 1
        for line in invoice.lines:
            key = line.charge if line.period_starts_on.month == until.month else f"{line.charge} before"
            found[key] = found.get(key, 0) + sign * line.net_minor
    return found


def used(it: World, metric_id: int, *readings: tuple[str, int]) -> None:
    for at, quantity in readings:
        put(it, metric_id, "IOT_1", f"2022-{at}+00:00", quantity)


def paused(it: World) -> None:
    """Suspended from the 11th to the 20th of April: in Paris, two hours before UTC."""
    it.do("suspend", date(2022, 4, 21), on=date(2022, 4, 11))
    it.do("resume", date(2022, 4, 21), on=date(2022, 4, 21))


INSIDE = (("04-10T22:00:00", 100), ("04-15T10:00:00", 200), ("04-20T21:59:59", 400))
OUTSIDE = (("04-10T21:59:59", 1), ("04-20T22:00:00", 2), ("04-25T10:00:00", 4))


@pytest.mark.parametrize("word, sums", [("", 70700), ("bill", 70700), ("ignore", 700), ("report", 700)])
def test_the_plan_says_whether_usage_of_suspended_days_is_charged(database: Database, word: str, sums: int) -> None:
    it = world(database, charge("Sum", "usage", "sum", word))
    used(it, 1, *INSIDE, *OUTSIDE)
    paused(it)
    report = it.close(APRIL)
    assert [line.net_minor for invoice in report.invoices for line in invoice.lines] == [sums]
    told = [(row.reference, row.records, row.quantity) for row in report.unbilled]
    assert told == ([("IOT_1", 3, Fraction(700))] if word == "report" else [])
    with database.snapshot() as session:
        left_out = unbilled(session)
        found = [each.message for each in verify(session) if each.check == "suspended"]
    assert [row.records for row in left_out] == ([3] if word in {"ignore", "report"} else [])
    assert len(found) == len(left_out)


def test_what_a_filter_leaves_out_is_not_told_as_used_while_suspended(database: Database) -> None:
    it = world(database, charge("Sum", "usage", "sum", "report", ", filter: {zone: night}"))
    for day, zone in enumerate(("night", "day", "night", "night"), start=14):
        it.uses(day, f"2022-04-{day}T10:00:00+00:00", zone=zone)
    it.uses(1, "2022-04-25T10:00:00+00:00", zone="night")
    paused(it)
    report = it.close(APRIL)
    assert [line.net_minor for invoice in report.invoices for line in invoice.lines] == [100]
    assert [(row.records, row.quantity) for row in report.unbilled] == [(3, Fraction(14 + 16 + 17))]


def test_every_way_of_measuring_leaves_the_suspended_days_out(database: Database) -> None:
    ways: dict[str, Any] = {"sum": 7, "count": 3, "max": 4, "min": 1, "mean": 7 / 3, "latest": 4}
    charges = [
        *(charge(way, "usage", way, "ignore") for way in ways),
        charge("percentile", "usage", "percentile", "ignore"),
        charge("level", "level", "max", "ignore"),
    ]
    it = world(database, *charges)
    used(it, 1, *INSIDE, *OUTSIDE)
    used(it, 2, ("04-05T10:00:00", 3), ("04-15T10:00:00", 9))
    paused(it)
    found = worth(it, APRIL)
    assert found == {way: round(value * 100) for way, value in ways.items()} | {"percentile": 400, "level": 300}


def test_a_plan_may_say_it_for_all_its_usage_charges(database: Database) -> None:
    it = world(
        database,
        charge("Sum", "usage", "sum", ""),
        charge("Count", "usage", "count", "bill"),
        more="\n    usage_while_suspended: ignore",
    )
    used(it, 1, *INSIDE, *OUTSIDE)
    paused(it)
    assert worth(it, APRIL) == {"Sum": 700, "Count": 600}


def test_what_a_register_rises_while_suspended_is_left_out(database: Database) -> None:
    it = world(database, charge("Register", "register", "sum", "report"))
    used(it, 3, ("04-02T10:00:00", 100), ("04-10T10:00:00", 110), ("04-15T10:00:00", 150))
    used(it, 3, ("04-19T10:00:00", 180), ("04-28T10:00:00", 200))
    paused(it)
    report = it.close(APRIL)
    assert [line.net_minor for invoice in report.invoices for line in invoice.lines] == [3000]
    assert [(row.records, row.quantity) for row in report.unbilled] == [(2, Fraction(70))]


def test_a_suspension_over_the_end_of_a_period_is_left_out_on_both_sides(database: Database) -> None:
    it = world(database, charge("Register", "register", "sum", "ignore"), charge("Sum", "usage", "sum", "ignore"))
    used(it, 1, ("04-26T10:00:00", 5), ("05-03T10:00:00", 6), ("05-20T10:00:00", 7))
    used(it, 3, ("04-02T10:00:00", 100), ("04-22T10:00:00", 110), ("04-28T10:00:00", 130))
    it.do("suspend", date(2022, 4, 25))
    assert worth(it, APRIL) == {"Register": 1000}
    used(it, 3, ("05-05T10:00:00", 170), ("05-20T10:00:00", 175))
    it.do("resume", date(2022, 5, 11))
    assert worth(it, MAY) == {"Register": 500, "Sum": 700}


def test_a_suspension_that_is_told_late_gives_back_what_was_charged(database: Database) -> None:
    it = world(database, charge("Register", "register", "sum", "ignore"), charge("Sum", "usage", "sum", "ignore"))
    used(it, 1, *INSIDE, *OUTSIDE)
    used(it, 3, ("04-02T10:00:00", 100), ("04-12T10:00:00", 110), ("04-19T10:00:00", 130), ("04-28T10:00:00", 190))
    assert worth(it, APRIL) == {"Register": 9000, "Sum": 70700}
    it.do("suspend", date(2022, 5, 3), on=date(2022, 4, 11))
    it.do("resume", date(2022, 5, 3), on=date(2022, 4, 21))
    assert worth(it, MAY) == {"Register before": -3000, "Sum before": -70000}
    it.do("suspend", date(2022, 6, 3), on=date(2022, 4, 11))
    it.do("resume", date(2022, 6, 3), on=date(2022, 4, 11))
    assert worth(it, JUNE) == {"Register before": 3000, "Sum before": 70000}


def test_late_usage_of_suspended_days_stays_free_and_a_late_reading_is_charged_where_it_belongs(
    database: Database,
) -> None:
    it = world(database, charge("Register", "register", "sum", "ignore"), charge("Sum", "usage", "sum", "ignore"))
    used(it, 3, ("04-02T10:00:00", 80), ("04-05T10:00:00", 90), ("04-25T10:00:00", 150))
    paused(it)
    assert worth(it, APRIL) == {"Register": 7000}
    used(it, 1, ("04-15T10:00:00", 200))
    used(it, 3, ("04-15T10:00:00", 120))
    assert worth(it, MAY) == {"Register before": -3000}


def test_a_level_that_goes_on_or_a_pool_does_not_take_it() -> None:
    for wrong, why in (
        (charge("Level", "level", "weighted_mean", "ignore"), "a level goes on"),
        (charge("Pool", "usage", "sum", "ignore").replace("vat_rate", "scope: contract, vat_rate"), "about one object"),
        (charge("Word", "usage", "sum", "never"), "bill or ignore or report"),
    ):
        with pytest.raises(CatalogueInvalid, match=why):
            catalogue.load(METERED + plans(P=[wrong]))
