"""Usage records that are taken back: the bill is what it would be if they had never come."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from billing.closing.commit import commit_plan
from billing.closing.plan import plan_month
from billing.closing.reader import MonthReader
from billing.core.errors import Conflict, Invalid, NotFound
from gateway.cli.explaining import explained, explained_texts
from gateway.extraction import export_invoice
from storage import closing, detail, invoices, overview, registry, usage
from storage.database import Database
from storage.types import to_micros
from tests.usecases.changing import SELLER, World, contract, fee, lines, per_unit, plans

JANUARY, FEBRUARY, MARCH = date(2022, 1, 31), date(2022, 2, 28), date(2022, 3, 31)
AT = "2022-01-10T10:00:00+00:00"
WHY = "the sensor was tested"
SEED = 4


@pytest.fixture
def world(database: Database) -> World:
    it = World(database, plans(P=[per_unit("2")]) + "contracts:\n" + contract("C", "P"))
    it.active("P", date(2022, 1, 1))
    return it


def take_back(world: World, today: date, **values: Any) -> dict[str, Any]:
    return world.do("reverse", today, **{"metric": "usage", "at": AT, "reason": WHY, **values}).as_json()


def test_what_was_charged_for_a_record_that_is_taken_back_is_given_back_in_its_own_period(world: World) -> None:
    world.uses(12, AT)
    world.uses(5, "2022-01-10T11:00:00+00:00")
    assert world.bills(JANUARY) == [("INV/2022/01/0001", "P/Units", "2022-01-01", 3400)]
    take_back(world, date(2022, 2, 3))
    world.uses(30, "2022-02-10T10:00:00+00:00")
    assert world.bills(FEBRUARY) == [
        ("INV/2022/02/0001", "P/Units", "2022-02-01", 6000),
        ("INV/2022/02/0001", "P/Units", "2022-01-01", -2400),
    ]
    assert world.bills(MARCH) == []
    kind, told = world.events()[-1]
    assert kind == "usage_reversed"
    assert (told["quantity"], told["reason"], told["replaced_by"]) == ("12", WHY, None)


def test_without_anything_else_due_it_is_a_credit_note_that_names_the_invoice(world: World) -> None:
    world.uses(12, AT)
    world.close(JANUARY)
    take_back(world, date(2022, 2, 3))
    [credit] = world.close(FEBRUARY).invoices
    assert (credit.kind, credit.net_minor, tuple(credit.corrects)) == ("credit_note", 2400, ("INV/2022/01/0001",))


def test_before_the_close_it_is_simply_not_billed(world: World) -> None:
    world.uses(12, AT)
    take_back(world, date(2022, 1, 20))
    assert world.bills(JANUARY) == []


def test_a_repeat_of_the_message_does_not_bring_it_back_and_new_usage_of_that_day_counts(world: World) -> None:
    world.uses(12, AT)
    take_back(world, date(2022, 1, 20))
    world.uses(12, AT)
    world.verified()
    world.uses(7, "2022-01-10T23:00:00+00:00")
    assert world.bills(JANUARY) == [("INV/2022/01/0001", "P/Units", "2022-01-01", 1400)]


def test_another_value_may_stand_in_its_place_and_be_taken_back_in_turn(world: World) -> None:
    world.uses(12, AT)
    world.close(JANUARY)
    first = take_back(world, date(2022, 2, 3), value="10")
    assert first["replaced_by"] == {"id": "~1", "quantity": "10"}
    assert [net for *_, net in world.bills(FEBRUARY)] == [-400]
    second = take_back(world, date(2022, 3, 3), value="11", reason="read again")
    assert (second["id"], second["replaced_by"]) == ("~1", {"id": "~2", "quantity": "11"})
    assert [net for *_, net in world.bills(MARCH)] == [200]


def test_the_same_command_again_gives_the_same_answer_and_changes_nothing(world: World) -> None:
    world.uses(12, AT)
    first = take_back(world, date(2022, 1, 20), value="10")
    assert take_back(world, date(2022, 1, 25), value="10") == first
    assert [kind for kind, _ in world.events()].count("usage_reversed") == 1
    assert world.bills(JANUARY) == [("INV/2022/01/0001", "P/Units", "2022-01-01", 2000)]


def test_what_cannot_be_taken_back_is_refused_with_the_reason(world: World) -> None:
    with pytest.raises(NotFound, match="no usage record of usage"):
        take_back(world, date(2022, 1, 20))
    with pytest.raises(NotFound, match="'nothing' is not declared"):
        take_back(world, date(2022, 1, 20), metric="nothing")
    world.uses(12, AT)
    with pytest.raises(NotFound, match="with the id 'x'"):
        take_back(world, date(2022, 1, 20), id="x")
    with pytest.raises(Invalid, match="no time zone"):
        take_back(world, date(2022, 1, 20), at="2022-01-10T10:00:00")
    with pytest.raises(Invalid, match="as a text"):
        take_back(world, date(2022, 1, 20), value=1.5)
    take_back(world, date(2022, 1, 20))
    with pytest.raises(Conflict, match=f"taken back already \\({WHY}\\)"):
        take_back(world, date(2022, 1, 20), reason="another")


def test_of_several_records_at_one_instant_one_is_named(world: World) -> None:
    put(world, 1, "IOT_1", AT, 3, "a")
    put(world, 1, "IOT_1", AT, 4, "b")
    with pytest.raises(Invalid, match="'a', 'b'"):
        take_back(world, date(2022, 1, 20))
    take_back(world, date(2022, 1, 20), id="b")
    assert world.bills(JANUARY) == [("INV/2022/01/0001", "P/Units", "2022-01-01", 600)]


def test_a_dry_run_says_what_the_next_invoice_gives_back_and_writes_nothing(world: World) -> None:
    world.uses(12, AT)
    world.close(JANUARY)
    asked = world.ask("reverse", date(2022, 2, 3), metric="usage", at=AT, reason=WHY, value="5")
    assert list(asked.net_minor().values()) == [-1400]
    assert "usage_reversed" not in [kind for kind, _ in world.events()]
    assert world.bills(FEBRUARY) == []


def test_readers_leave_it_out_and_explain_says_why(world: World, tmp_path: Path) -> None:
    world.uses(12, AT)
    world.uses(5, "2022-01-10T11:00:00+00:00")
    take_back(world, date(2022, 1, 20))
    world.close(JANUARY)
    take_back(world, date(2022, 2, 3), at="2022-01-10T11:00:00+00:00", reason="not ours")
    with world.database.snapshot() as session:
        told = "".join(explained_texts(explained(session, "INV/2022/01/0001")))
        rows = overview.usage_of(session, "IOT_1", since=None, until=None, limit=10)
        target = tmp_path / "usage.csv"
        export_invoice(session, "INV/2022/01/0001", target, "csv", "usage")
    assert f"not on this invoice: taken back: {WHY}" in told
    assert "on this invoice, taken back since: not ours" in told
    assert [row["taken_back"] for row in rows] == [WHY, "not ours"]
    assert [line.split(",")[12] for line in target.read_text().splitlines()[1:]] == ["5"]


# --- every way of measuring --------------------------------------------------------------------------------------


def usage_charge(name: str, metric: str, aggregation: str, price: str, more: str = "") -> str:
    calculator = f"{{metric: {metric}, aggregation: {aggregation}, price: {price}{more}}}"
    return f'{{name: {name}, type: usage, vat_rate: "20", calculator: {calculator}}}'


UNIT = '{model: per_unit, unit_price: "1"}'
GRADUATED = '{model: graduated, tiers: [{up_to: 40, unit_price: "2"}, {up_to: null, unit_price: "1"}]}'
MEASURED = plans(
    P=[
        usage_charge("Sum", "usage", "sum", GRADUATED),
        usage_charge("Count", "usage", "count", UNIT),
        usage_charge("Max", "usage", "max", UNIT),
        usage_charge("Min", "usage", "min", UNIT),
        usage_charge("Latest", "level", "latest", UNIT),
        usage_charge("Mean", "level", "weighted_mean", UNIT),
        usage_charge("Percentile", "level", "percentile", UNIT),
        usage_charge("Held", "usage", "sum", UNIT, ", recurring: true"),
        usage_charge("Register", "register", "sum", UNIT),
    ]
)
METRICS = {"usage": 1, "level": 2, "register": 3}


METERED = SELLER.replace(
    "customers:",
    """  - {name: level, unit: unit, kind: gauge, decimals: 0}
  - {name: register, unit: unit, kind: cumulative, decimals: 0}
customers:""",
)


def put(world: World, metric_id: int, reference: str, at: str, quantity: int, identity: str = "") -> None:
    micros = to_micros(datetime.fromisoformat(at))
    with world.database.transaction() as session:
        object_id = registry.find(session, [reference])[reference].id
        usage.record(session, [usage.Fact(micros, object_id, metric_id, identity, quantity, micros, "mqtt")])


def charged(database: Database) -> dict[str, dict[str, Fraction]]:
    """By object and charge, all that was invoiced less all that was credited."""
    found: dict[str, dict[str, Fraction]] = {}
    with database.snapshot() as session:
        for summary in invoices.list_invoices(session):
            sign = -1 if summary.kind == "credit_note" else 1
            for row in detail.detail_rows(session, summary.number):
                of = found.setdefault(row.reference, {})
                of[row.charge] = of.get(row.charge, Fraction(0)) + sign * row.amount
    return found


def history(chance: random.Random) -> Iterator[tuple[date, str, str, int, bool]]:
    """(day on which it came, metric, when, quantity, whether it is wrong) over three months."""
    reading = 100
    for day in sorted(chance.sample(range(88), 24)):
        at = datetime(2022, 1, 1, 9, tzinfo=UTC) + timedelta(days=day, hours=chance.randrange(24))
        wrong = chance.random() < 0.3
        metric = chance.choice(tuple(METRICS))
        quantity = chance.randrange(1, 60)
        if metric == "register":
            reading += 0 if wrong else quantity
            quantity = reading + chance.choice((5, 1000, -50)) if wrong else reading
        came = at.date() + timedelta(days=1 if metric == "register" else chance.choice((1, 1, 35)))
        yield came, metric, at.isoformat(), quantity, wrong


def play(world: World, chance: random.Random, pairs: int) -> None:
    """Pairs of objects with the same usage; the second of each also sends what is wrong and taken back later."""
    steps: list[tuple[date, int, tuple[Any, ...]]] = []
    for number in range(pairs):
        for name in (f"CLEAN_{number}", f"WRONG_{number}"):
            world.active("P", date(2022, 1, 1), name)
        for came, metric, at, quantity, wrong in history(chance):
            names = ("WRONG",) if wrong else ("CLEAN", "WRONG")
            steps += [(came, 0, ("put", f"{name}_{number}", metric, at, quantity)) for name in names]
            if wrong:
                back = came + timedelta(days=chance.choice((0, 10, 40, 70)))
                steps.append((back, 1, ("reverse", f"WRONG_{number}", metric, at)))
    closes = [JANUARY, FEBRUARY, MARCH, date(2022, 4, 30), date(2022, 5, 31), date(2022, 6, 30), date(2022, 7, 31)]
    steps += [(until + timedelta(days=1), 2, ("close", until)) for until in closes]
    for today, _, step in sorted(steps, key=lambda each: each[:2]):
        match step:
            case "put", name, metric, at, quantity:
                put(world, METRICS[metric], name, at, quantity)
            case "reverse", name, metric, at:
                world.do("reverse", today, name, metric=metric, at=at, reason=WHY)
            case "close", until:
                world.close(until)


def test_however_it_was_measured_and_whenever_it_is_taken_back_it_is_as_if_it_had_never_come(
    database: Database,
) -> None:
    world = World(database, MEASURED + "contracts:\n" + contract("C", "P", more=", grouping: [object]"), METERED)
    play(world, random.Random(SEED), pairs=6)  # noqa: S311 - repeatable is the point
    owed = charged(database)
    for number in range(6):
        assert owed[f"WRONG_{number}"] == owed[f"CLEAN_{number}"]
    assert all(sum(of.values()) > 0 for of in owed.values())


def test_a_wrong_reading_of_a_register_gives_every_period_that_it_reached_its_own_again(database: Database) -> None:
    text = plans(P=[usage_charge("Register", "register", "sum", UNIT), fee("10", "arrears")])
    world = World(database, text + "contracts:\n" + contract("C", "P"), METERED)
    world.active("P", date(2022, 1, 1))
    for at, reading in (("2022-01-02", 100), ("2022-01-20", 900), ("2022-02-20", 150), ("2022-03-20", 180)):
        put(world, 3, "IOT_1", f"{at}T10:00:00+00:00", reading)
    for until, net in ((JANUARY, 80000), (FEBRUARY, 0), (MARCH, 0)):
        assert sum(net for *_, net in world.bills(until)) == net + 1000
    world.do("reverse", date(2022, 4, 2), metric="register", at="2022-01-20T10:00:00+00:00", reason="a digit too many")
    [bill] = world.close(date(2022, 4, 30)).invoices
    assert sorted((start, net) for _, what, start, net in lines(bill) if "Fee" not in what) == [
        ("2022-01-01", -80000),
        ("2022-02-01", 5000),
        ("2022-03-01", 3000),
    ]
    assert json.loads(json.dumps(world.events()[-1][1]))["id"] == ""


@pytest.mark.parametrize("metric", ["usage", "register"])
def test_what_is_taken_back_while_a_close_is_at_work_is_not_lost(database: Database, metric: str) -> None:
    text = plans(P=[usage_charge("Charge", metric, "sum", UNIT)])
    world = World(database, text + "contracts:\n" + contract("C", "P"), METERED)
    world.active("P", date(2022, 1, 1))
    put(world, METRICS[metric], "IOT_1", "2022-01-05T10:00:00+00:00", 100)
    put(world, METRICS[metric], "IOT_1", AT, 900)
    with database.snapshot() as session:
        reader = MonthReader(session)
        (row,) = closing.contracts(session)
        plan = plan_month(reader, [row], (date(2022, 1, 1), date(2022, 2, 1)))
    assert plan is not None
    take_back(world, date(2022, 2, 1), metric=metric)
    with database.transaction() as session:
        commit_plan(session, plan, datetime(2022, 2, 1, 8, tzinfo=UTC))
    world.close(FEBRUARY)
    left = {"usage": 100, "register": 0}[metric]
    assert charged(database).get("IOT_1", {}).get("Charge", Fraction(0)) == left
