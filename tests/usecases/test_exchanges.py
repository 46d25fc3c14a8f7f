"""Hardware that was exchanged: the register goes on from the old one's last reading, to the digit."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from billing.core.errors import Conflict, Invalid, NotFound
from storage import registry, usage
from storage.database import Database
from storage.types import to_micros
from tests.usecases.changing import SELLER, World, contract, plans

JANUARY, FEBRUARY, MARCH, APRIL = date(2022, 1, 31), date(2022, 2, 28), date(2022, 3, 31), date(2022, 4, 30)
METERED = SELLER.replace("customers:", "  - {name: energy, unit: kWh, kind: cumulative, decimals: 3}\ncustomers:")
ENERGY = '{metric: energy, price: {model: per_unit, unit_price: "1"}}'
ENERGY_CHARGE = f'{{name: Energy, type: usage, vat_rate: "20", calculator: {ENERGY}}}'


@pytest.fixture
def world(database: Database) -> World:
    it = World(database, plans(P=[ENERGY_CHARGE]) + "contracts:\n" + contract("C", "P"), METERED)
    it.active("P", date(2022, 1, 1))
    return it


def read(world: World, day: str, reading: str) -> None:
    """A reading at ten in the morning, in UTC; with a time where the day alone does not say it."""
    micros = to_micros(datetime.fromisoformat(day if "T" in day else f"{day}T10:00:00+00:00"))
    with world.database.transaction() as session:
        object_id = registry.find(session, ["IOT_1"])["IOT_1"].id
        usage.record(session, [usage.Fact(micros, object_id, 2, "", round(float(reading) * 1000), micros, "mqtt")])


def exchanged(world: World, today: date, at: str, **values: Any) -> dict[str, Any]:
    return world.do("exchange", today, metric="energy", at=f"{at}+00:00", **values).as_json()


def net(world: World, until: date) -> dict[str, int]:
    """What a close bills, by the first day of the period."""
    found: dict[str, int] = {}
    for *_, start, amount in world.bills(until):
        found[start] = found.get(start, 0) + amount
    return found


def test_over_an_exchange_both_registers_are_billed_to_the_digit(world: World) -> None:
    read(world, "2022-01-02", "100.125")
    read(world, "2022-01-20", "140.5")
    exchanged(world, date(2022, 1, 25), "2022-01-25T09:00:00", final="150.75", initial="3.25")
    read(world, "2022-01-25", "4.5")
    read(world, "2022-01-30", "10")
    # The old one rose from 100.125 to 150.75, the new one from 3.25 to 10.
    assert net(world, JANUARY) == {"2022-01-01": 5738}
    read(world, "2022-02-20", "60")
    assert net(world, FEBRUARY) == {"2022-02-01": 5000}
    assert world.events()[-1] == (
        "exchanged",
        {"metric": "energy", "at": "2022-01-25T09:00:00+00:00", "final": "150.75", "initial": "3.25"},
    )


def test_where_the_new_register_begins_is_its_next_reading_unless_it_is_said(world: World) -> None:
    read(world, "2022-01-02", "100")
    exchanged(world, date(2022, 1, 25), "2022-01-25T09:00:00", final="150")
    assert net(world, JANUARY) == {"2022-01-01": 5000}
    read(world, "2022-02-05", "700")
    read(world, "2022-02-20", "710")
    assert net(world, FEBRUARY) == {"2022-02-01": 1000}
    exchanged(world, date(2022, 3, 10), "2022-03-10T09:00:00", final="715", initial="0")
    read(world, "2022-03-20", "5")
    assert net(world, MARCH) == {"2022-03-01": 1000}


def test_the_next_reading_may_come_on_the_day_of_the_exchange(world: World) -> None:
    read(world, "2022-01-02", "100")
    read(world, "2022-01-25T08:00:00+00:00", "140")
    exchanged(world, date(2022, 1, 25), "2022-01-25T09:00:00", final="150")
    read(world, "2022-01-25T11:00:00+00:00", "21")
    read(world, "2022-01-25T10:00:00+00:00", "20")
    read(world, "2022-01-30", "27")
    assert net(world, JANUARY) == {"2022-01-01": 5700}
    read(world, "2022-02-20", "30")
    assert net(world, FEBRUARY) == {"2022-02-01": 300}


def test_where_the_old_register_ended_is_the_last_that_came_unless_it_is_said(world: World) -> None:
    read(world, "2022-01-02", "100")
    read(world, "2022-01-20", "130")
    assert exchanged(world, date(2022, 1, 25), "2022-01-25T09:00:00", initial="0")["final"] == "130"
    read(world, "2022-01-30", "7")
    assert net(world, JANUARY) == {"2022-01-01": 3700}


def test_an_exchange_told_late_corrects_the_periods_that_were_invoiced(world: World) -> None:
    read(world, "2022-01-02", "100")
    read(world, "2022-01-20", "5")
    read(world, "2022-02-20", "50")
    assert net(world, JANUARY) == {}
    assert net(world, FEBRUARY) == {}
    values: dict[str, Any] = {"metric": "energy", "at": "2022-01-15T09:00:00+00:00", "final": "110", "initial": "0"}
    asked = world.ask("exchange", date(2022, 3, 3), **values)
    assert list(asked.net_minor().values()) == [6000]
    world.do("exchange", date(2022, 3, 3), **values)
    assert net(world, MARCH) == {"2022-01-01": 1500, "2022-02-01": 4500}


def test_told_late_it_corrects_the_pool_that_the_object_is_in(database: Database) -> None:
    pooled = ENERGY_CHARGE.replace("type: usage", "type: usage, scope: contract")
    world = World(database, plans(P=[pooled]) + "contracts:\n" + contract("C", "P"), METERED)
    world.active("P", date(2022, 1, 1))
    world.active("P", date(2022, 1, 1), "IOT_2")
    for day, reading in (("2022-01-02", "100"), ("2022-01-20", "5"), ("2022-02-20", "50")):
        read(world, day, reading)
    assert net(world, JANUARY) == {}
    assert net(world, FEBRUARY) == {}
    exchanged(world, date(2022, 3, 3), "2022-01-15T09:00:00", final="110", initial="0")
    assert net(world, MARCH) == {"2022-01-01": 1500, "2022-02-01": 4500}


def test_an_exchange_at_the_very_boundary_is_in_one_period(world: World) -> None:
    read(world, "2022-01-02", "100")
    exchanged(world, date(2022, 2, 2), "2022-01-31T23:00:00", final="160", initial="10")
    read(world, "2022-02-05", "30")
    assert net(world, FEBRUARY) == {"2022-01-01": 6000, "2022-02-01": 2000}


def test_several_exchanges_in_one_period_and_on_one_day(world: World) -> None:
    read(world, "2022-01-02", "100")
    exchanged(world, date(2022, 1, 11), "2022-01-10T08:00:00", final="110", initial="50")
    exchanged(world, date(2022, 1, 11), "2022-01-10T12:00:00", final="52", initial="7")
    read(world, "2022-01-10T18:00:00+00:00", "9")
    assert net(world, JANUARY) == {"2022-01-01": 1400}


def test_a_reading_of_a_new_register_that_is_taken_back_takes_back_what_it_made(world: World) -> None:
    read(world, "2022-01-02", "100")
    exchanged(world, date(2022, 1, 11), "2022-01-10T08:00:00", final="110", initial="0")
    read(world, "2022-01-20", "90")
    assert net(world, JANUARY) == {"2022-01-01": 10000}
    read(world, "2022-02-20", "20")
    world.do("reverse", date(2022, 2, 21), metric="energy", at="2022-01-20T10:00:00+00:00", reason="a wrong digit")
    assert net(world, FEBRUARY) == {"2022-01-01": -9000, "2022-02-01": 2000}


def test_what_does_not_fit_the_readings_around_it_is_refused(world: World) -> None:
    read(world, "2022-01-02", "100")
    with pytest.raises(Invalid, match="stood at 100 before"):
        exchanged(world, date(2022, 1, 11), "2022-01-10T08:00:00", final="90", initial="0")
    with pytest.raises(Invalid, match="is to come"):
        exchanged(world, date(2022, 1, 11), "2022-02-10T08:00:00", final="110")
    with pytest.raises(Invalid, match="no reading of the old register"):
        exchanged(world, date(2022, 1, 11), "2022-01-01T08:00:00")
    with pytest.raises(Invalid, match="only a register"):
        world.do("exchange", date(2022, 1, 11), metric="usage", final="1")
    with pytest.raises(Invalid, match="name its metric"):
        world.do("exchange", date(2022, 1, 11), final="1")
    exchanged(world, date(2022, 1, 11), "2022-01-10T08:00:00", final="110", initial="0")
    read(world, "2022-01-20", "5")
    with pytest.raises(Invalid, match="stood at 5 later"):
        exchanged(world, date(2022, 1, 21), "2022-01-19T08:00:00", final="1", initial="6")


def test_told_again_it_changes_nothing_and_told_wrongly_it_can_be_corrected(world: World) -> None:
    read(world, "2022-01-02", "100")
    first = exchanged(world, date(2022, 1, 11), "2022-01-10T08:00:00", final="110", initial="0")
    assert exchanged(world, date(2022, 1, 12), "2022-01-10T08:00:00", final="110", initial="0") == first
    assert [kind for kind, _ in world.events()].count("exchanged") == 1
    with pytest.raises(Conflict, match="say `correct`"):
        exchanged(world, date(2022, 1, 12), "2022-01-10T08:00:00", final="120", initial="0")
    with pytest.raises(NotFound, match="no exchange"):
        exchanged(world, date(2022, 1, 12), "2022-01-10T09:00:00", final="120", initial="0", correct=True)
    assert net(world, JANUARY) == {"2022-01-01": 1000}
    exchanged(world, date(2022, 2, 12), "2022-01-10T08:00:00", final="120", initial="0", correct=True)
    assert net(world, FEBRUARY) == {"2022-01-01": 1000}


def test_hardware_without_a_register_is_only_an_event(world: World) -> None:
    world.do("exchange", date(2022, 1, 11), note="serial 4711")
    kind, told = world.events()[-1]
    assert (kind, told["note"], told["metric"]) == ("exchanged", "serial 4711", None)


@pytest.mark.parametrize("zone_day", range(3))
def test_wherever_it_falls_nothing_is_lost_and_nothing_is_billed_twice(world: World, zone_day: int) -> None:
    """Exchanges every eight days, each told on another day than it was made: all add up to what both sides rose."""
    total, standing = 0, 100
    read(world, "2022-01-01T12:00:00+00:00", "100")
    at = datetime(2022, 1, 3, 22, 30, tzinfo=UTC) + timedelta(hours=zone_day)
    closed = [JANUARY, FEBRUARY, MARCH]
    billed = 0
    while at < datetime(2022, 3, 20, tzinfo=UTC):
        rise, begins = 11 + at.day, at.day % 4
        told = at + timedelta(days=1 + at.day % 9)
        while closed and told.date() > closed[0] + timedelta(days=1):
            billed += sum(net(world, closed.pop(0)).values())
        values = {"final": str(standing + rise), "initial": str(begins)}
        world.do("exchange", told.date(), metric="energy", at=at.isoformat(), **values)
        total, standing = total + rise + 5, begins + 5
        read(world, (at + timedelta(days=3)).isoformat(), str(standing))
        at += timedelta(days=8, hours=5)
    for until in [*closed, APRIL]:
        billed += sum(net(world, until).values())
    assert billed == total * 100
