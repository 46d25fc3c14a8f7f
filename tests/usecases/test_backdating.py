"""Activations and terminations told late: months that were closed get what they should have had; figures by hand."""

from datetime import date
from typing import Any

import pytest

from storage.database import Database
from tests.usecases.changing import World, contract, fee, per_unit, plans
from tests.usecases.test_reversals import METERED, put

APRIL, MAY, JUNE, JULY = date(2022, 4, 30), date(2022, 5, 31), date(2022, 6, 30), date(2022, 7, 31)
TOLD = date(2022, 6, 10)
ENERGY = '{metric: register, price: {model: per_unit, unit_price: "1"}}'
REGISTER = f'{{name: Energy, type: usage, vat_rate: "20", calculator: {ENERGY}}}'


@pytest.fixture
def world(database: Database) -> World:
    charges = [fee("30"), fee("60", "arrears", name="Later"), per_unit("1"), REGISTER]
    return World(database, plans(P=charges) + "contracts:\n" + contract("C", "P"), METERED)


def owed(it: World, until: date) -> dict[str, list[int]]:
    """What a close bills, by the first day of the period, in the order of the plan's charges."""
    found: dict[str, list[int]] = {}
    for invoice in it.close(until).invoices:
        sign = -1 if invoice.kind == "credit_note" else 1
        for line in invoice.lines:
            found.setdefault(line.period_starts_on.isoformat(), []).append(sign * line.net_minor)
    return {start: sorted(amounts) for start, amounts in sorted(found.items())}


def used(it: World, *records: tuple[str, int]) -> None:
    for day, quantity in records:
        put(it, 1, "IOT_1", f"2022-{day}T10:00:00+02:00", quantity)


def read(it: World, *readings: tuple[str, int]) -> None:
    for day, reading in readings:
        put(it, 3, "IOT_1", f"2022-{day}T10:00:00+02:00", reading)


def test_an_activation_for_months_that_are_closed_bills_them_with_their_usage(world: World) -> None:
    world.do("create", date(2022, 4, 1))
    world.do(
        "create", date(2022, 4, 1), "IOT_2", activate=True, contract="C", subscription="P", starts_on=date(2022, 4, 1)
    )
    used(world, ("04-10", 7), ("04-20", 5), ("05-20", 8))
    read(world, ("04-15", 100), ("04-17", 110), ("05-17", 150))
    assert owed(world, APRIL) == {"2022-04-01": [3000, 6000], "2022-05-01": [3000]}
    assert owed(world, MAY) == {"2022-05-01": [6000], "2022-06-01": [3000]}
    values: dict[str, Any] = {"contract": "C", "subscription": "P", "starts_on": date(2022, 4, 16)}
    asked = world.ask("activate", TOLD, **values)
    world.do("activate", TOLD, **values)
    used(world, ("04-25", 1), ("06-15", 2))
    billed = owed(world, JUNE)
    # Half of April and all of May; usage from 16 April on, the late record too; the register from its reading before.
    assert billed == {
        "2022-04-01": [600, 1000, 1500, 3000],
        "2022-05-01": [800, 3000, 4000, 6000],
        "2022-06-01": [200, 3000, 12000],
        "2022-07-01": [6000],
    }
    late_and_new = 100 + 200
    assert list(asked.net_minor().values()) == [sum(map(sum, billed.values())) - late_and_new - (6000 + 3000)]


def test_a_termination_for_a_month_that_is_closed_gives_back_what_came_after(world: World) -> None:
    world.active("P", date(2022, 4, 1))
    used(world, ("04-10", 7), ("04-20", 5), ("05-20", 8))
    read(world, ("04-05", 100), ("04-14", 110), ("04-25", 130), ("05-17", 150))
    assert owed(world, APRIL) == {"2022-04-01": [1200, 3000, 3000, 6000], "2022-05-01": [3000]}
    assert owed(world, MAY) == {"2022-05-01": [800, 2000, 6000], "2022-06-01": [3000]}
    asked = world.ask("terminate", TOLD, on=date(2022, 4, 15))
    world.do("terminate", TOLD, on=date(2022, 4, 15))
    assert world.status() == "terminated"
    [credit] = world.close(JUNE).invoices
    assert (credit.kind, tuple(credit.corrects)) == ("credit_note", ("INV/2022/04/0001", "INV/2022/05/0001"))
    given_back = 1500 + 3000 + 500 + 2000 + (3000 + 6000 + 800 + 2000) + 3000
    assert credit.net_minor == given_back
    assert list(asked.net_minor().values()) == [-given_back - (3000 + 6000)]


def test_late_usage_after_a_termination_told_late_counts_until_its_last_day(world: World) -> None:
    world.active("P", date(2022, 4, 1))
    world.close(APRIL)
    world.do("terminate", date(2022, 5, 10), on=date(2022, 4, 15))
    used(world, ("04-15", 3), ("04-16", 4))
    billed = owed(world, MAY)
    assert billed["2022-04-01"] == [-3000, -1500, 300]
    used(world, ("04-02", 2), ("05-02", 9))
    assert owed(world, JUNE) == {"2022-04-01": [200]}


def test_an_activation_and_a_termination_in_one_closed_month_leave_its_days(world: World) -> None:
    world.do("create", date(2022, 4, 1))
    used(world, ("04-09", 1), ("04-10", 2), ("04-20", 4), ("04-21", 8))
    world.close(APRIL)
    world.do("activate", TOLD, contract="C", subscription="P", starts_on=date(2022, 4, 10))
    world.do("terminate", TOLD, on=date(2022, 4, 20))
    # 11 of 30 days.
    assert owed(world, JUNE) == {"2022-04-01": [600, 1100, 2200]}
    assert owed(world, JULY) == {}


def test_a_term_that_is_wholly_over_is_billed_at_once_and_ends(world: World) -> None:
    world.do("create", date(2022, 4, 1))
    world.close(MAY)
    world.do("activate", TOLD, contract="C", subscription="P", starts_on=date(2022, 4, 1), term_months=1)
    assert owed(world, JUNE) == {"2022-04-01": [3000, 6000]}
    assert [kind for kind, _ in world.events()] == ["created", "activated", "term_ended"]
