"""Readings of registers that are held: never billed by themselves, decided by a person, corrected by the next close."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from billing import readings
from billing.close import close
from billing.core.errors import Invalid, NotFound
from billing.verify import verify
from gateway.cli.main import main
from storage import registry, usage
from storage.database import Database
from storage.types import to_micros
from tests.usecases.changing import SELLER, World, contract, plans

JANUARY, FEBRUARY, MARCH = date(2022, 1, 31), date(2022, 2, 28), date(2022, 3, 31)
REGISTER = "{name: energy, unit: kWh, kind: cumulative, decimals: 3, register_width: 5, maximum_rate: 10}"
METERED = SELLER.replace("customers:", f"  - {REGISTER}\ncustomers:")
CHARGE = (
    '{name: Energy, type: usage, vat_rate: "20", calculator: '
    '{metric: energy, price: {model: per_unit, unit_price: "1"}}}'
)


@pytest.fixture
def world(database: Database) -> World:
    it = World(database, plans(P=[CHARGE]) + "contracts:\n" + contract("C", "P"), METERED)
    it.active("P", date(2022, 1, 1))
    return it


def read(world: World, *told: tuple[str, str]) -> None:
    """Readings at ten in the morning, in UTC; with a time where the day alone does not say it."""
    with world.database.transaction() as session:
        object_id = registry.find(session, ["IOT_1"])["IOT_1"].id
        facts = []
        for day, reading in told:
            micros = to_micros(datetime.fromisoformat(day if "T" in day else f"{day}T10:00:00+00:00"))
            facts.append(usage.Fact(micros, object_id, 2, "", round(float(reading) * 1000), micros, "mqtt"))
        usage.record(session, facts)


def net(world: World, until: date) -> dict[str, int]:
    found: dict[str, int] = {}
    for *_, start, amount in world.bills(until):
        found[start] = found.get(start, 0) + amount
    return found


def held(world: World, until: date) -> list[dict[str, Any]]:
    now = datetime(until.year, until.month, until.day, tzinfo=UTC)
    with world.database.snapshot() as session:
        return [it.as_json() for it in readings.held(session, now)]


def test_a_zero_among_the_readings_bills_nothing_and_is_released(world: World) -> None:
    read(world, ("2022-01-02", "100"), ("2022-01-10", "0"), ("2022-01-11", "130"))
    assert net(world, JANUARY) == {"2022-01-01": 3000}
    assert held(world, JANUARY) == []


def test_a_register_that_fell_is_held_by_the_close_until_it_is_decided(world: World) -> None:
    read(world, ("2022-01-02", "100"), ("2022-01-10", "150"), ("2022-01-20", "3"), ("2022-01-25", "20"))
    report = world.close(JANUARY)
    assert [(it.reference, it.metric, it.readings) for it in report.held] == [("IOT_1", "energy", 2)]
    assert [invoice.net_minor for invoice in report.invoices] == [5000]
    (waiting,) = held(world, FEBRUARY)
    assert (waiting["state"], waiting["before"], waiting["first"], waiting["last"]) == ("held", 150, 3, 20)
    read(world, ("2022-02-10", "160"))
    # It stayed low for three readings before it passed what the old one stood at: it is billed only when decided.
    read(world, ("2022-01-26", "21"))
    assert net(world, FEBRUARY) == {}
    assert held(world, FEBRUARY)[0]["state"] == "proposed"
    world.do("exchange_readings", date(2022, 3, 2), metric="energy", final="155", initial="0")
    assert net(world, MARCH) == {"2022-01-01": 2600, "2022-02-01": 13900}
    assert held(world, MARCH) == []
    assert world.events()[-1][0] == "readings_decided"


def test_what_waits_is_named_by_the_verification_until_it_is_decided(world: World) -> None:
    read(world, ("2022-01-02", "100"), ("2022-01-10", "150"), ("2022-01-20", "3"), ("2022-01-25", "20"))
    with world.database.snapshot() as session:
        (finding,) = verify(session)
    assert (finding.check, finding.severity, finding.subject) == ("held", "information", "IOT_1, energy")
    assert "not billed: 2" in finding.message
    world.do("accept_readings", date(2022, 1, 30), metric="energy")
    with world.database.snapshot() as session:
        assert verify(session) == []


def test_a_flip_to_ten_times_the_value_is_never_billed(world: World) -> None:
    read(world, ("2022-01-02", "100"), ("2022-01-30", "130"), ("2022-01-31", "1310"))
    report = world.close(JANUARY)
    assert [invoice.net_minor for invoice in report.invoices] == [3000]
    assert [it.kind for it in report.held] == ["rate"]
    read(world, ("2022-02-01", "132"))
    assert net(world, FEBRUARY) == {"2022-02-01": 200}
    assert held(world, FEBRUARY) == []


def test_above_the_maximum_rate_nothing_is_billed_until_the_reading_is_accepted(world: World) -> None:
    read(world, ("2022-01-02", "100"), ("2022-01-03", "120"), ("2022-01-04", "1200"), ("2022-01-05", "1210"))
    assert net(world, JANUARY) == {"2022-01-01": 2000}
    world.do("accept_readings", date(2022, 2, 2), metric="energy", reason="the site was commissioned")
    assert net(world, FEBRUARY) == {"2022-01-01": 109000}


def test_rejected_readings_are_taken_back(world: World) -> None:
    read(world, ("2022-01-02", "100"), ("2022-01-03", "120"), ("2022-01-04", "1200"), ("2022-01-05", "1210"))
    world.do("reject_readings", date(2022, 1, 10), metric="energy")
    assert held(world, JANUARY) == []
    read(world, ("2022-01-20", "140"))
    assert net(world, JANUARY) == {"2022-01-01": 4000}


def test_on_the_command_line_a_part_of_the_held_readings_is_rejected(
    world: World, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read(world, ("2022-01-02", "100"), ("2022-01-03", "5"), ("2022-01-04", "6"), ("2022-01-05", "7"))
    monkeypatch.setenv("METERGATE_DATABASE_URL", database_url)
    monkeypatch.setenv("METERGATE_CLOCK", "virtual:2022-01-10T12:00:00+00:00")
    with pytest.raises(SystemExit) as done:
        main(["readings", "reject", "IOT_1", "energy", "--last", "2022-01-04T10:00:00Z"])
    assert done.value.code == 0
    assert "2 readings of energy of IOT_1" in capsys.readouterr().out
    assert [(it["readings"], it["first"]) for it in held(world, JANUARY)] == [(1, 7)]


def test_a_full_turn_is_billed_to_the_digit(world: World) -> None:
    read(world, ("2022-01-02", "99900.5"), ("2022-01-20", "99990.125"), ("2022-02-03", "7.375"), ("2022-02-20", "50"))
    assert net(world, JANUARY) == {"2022-01-01": 8963}
    assert net(world, FEBRUARY) == {"2022-02-01": 5988}
    read(world, ("2022-03-20", "61"))
    assert net(world, MARCH) == {"2022-03-01": 1100}
    assert held(world, MARCH) == []


def test_a_dry_run_gives_what_the_close_gives(world: World) -> None:
    read(world, ("2022-01-02", "100"), ("2022-01-20", "3"), ("2022-01-25", "20"))
    dry = close(world.database, JANUARY, datetime(2022, 2, 1, 12, tzinfo=UTC), dry_run=True)
    wet = world.close(JANUARY)
    assert (dry.invoices, dry.held) == (wet.invoices, wet.held)
    assert len(wet.held) == 1


def test_what_cannot_be_decided_is_refused(world: World) -> None:
    read(world, ("2022-01-02", "100"), ("2022-01-10", "150"), ("2022-01-20", "3"))
    with pytest.raises(NotFound, match="2022-01-10"):
        world.do("accept_readings", date(2022, 1, 21), metric="energy", at="2022-01-10T10:00:00+00:00")
    with pytest.raises(Invalid, match="only readings of a register"):
        world.do("accept_readings", date(2022, 1, 21), metric="usage")
    world.do("accept_readings", date(2022, 1, 21), metric="energy")
    with pytest.raises(NotFound, match="is held"):
        world.do("accept_readings", date(2022, 1, 22), metric="energy")
