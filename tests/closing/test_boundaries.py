"""Values of registers at the ends of periods: interpolated where the metric says so, kept, chained, replaced."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session, col, select

from billing.boundaries import boundaries
from billing.close import close
from billing.core.errors import Invalid, NotFound
from gateway.cli.explaining import explained as explained_lines
from gateway.cli.explaining import explained_texts
from gateway.extraction import export_invoice
from gateway.views.objects import whole_object
from storage.database import Database
from storage.tables import BoundaryValue
from tests.usecases.changing import SELLER, World, contract, lines, noon, plans

APRIL, MAY, JUNE = date(2022, 4, 30), date(2022, 5, 31), date(2022, 6, 30)
CHARGE = (
    '{name: Water, type: usage, vat_rate: "20", calculator: {metric: water, price: {model: per_unit, unit_price: "1"}}}'
)


def world(database: Database, register: str) -> World:
    metric = f"  - {{name: water, unit: m3, kind: cumulative, decimals: 3, {register}}}\ncustomers:"
    text = plans(P=[CHARGE]) + "contracts:\n" + contract("C", "P", starts_on="2022-04-01")
    it = World(database, text, SELLER.replace("customers:", metric).replace("Europe/Paris", "UTC"))
    it.active("P", date(2022, 4, 1))
    return it


@pytest.fixture
def interpolated(database: Database) -> World:
    return world(database, "boundary: interpolated, boundary_tolerance: 30m")


def read(it: World, *told: tuple[str, int]) -> None:
    for at, reading in told:
        it.uses(reading * 1000, f"{at}+00:00", metric_id=2)


def billed(it: World, until: date) -> dict[str, int]:
    found: dict[str, int] = {}
    for *_, start, amount in it.bills(until):
        found[start] = found.get(start, 0) + amount
    return found


def kept(it: World) -> Sequence[tuple[str, int, str]]:
    with it.database.snapshot() as session:
        rows = session.exec(select(BoundaryValue).order_by(col(BoundaryValue.at))).all()
        return [(row.at.date().isoformat(), row.quantity, row.quality) for row in rows]


def test_between_two_readings_the_boundary_is_on_the_line_between_them(interpolated: World) -> None:
    it = interpolated
    read(it, ("2022-04-01T00:00:00", 100), ("2022-04-29T00:00:00", 156), ("2022-05-03T00:00:00", 164))
    assert billed(it, APRIL) == {"2022-04-01": 6000}
    read(it, ("2022-05-31T12:00:00", 220), ("2022-06-01T12:00:00", 222))
    assert billed(it, MAY) == {"2022-05-01": 6100}
    assert kept(it) == [
        ("2022-04-01", 100_000, "baseline"),
        ("2022-05-01", 160_000, "interpolated"),
        ("2022-06-01", 221_000, "interpolated"),
    ]


def test_a_reading_within_the_tolerance_is_the_boundary(interpolated: World) -> None:
    it = interpolated
    read(it, ("2022-04-01T00:00:00", 100), ("2022-04-30T12:00:00", 156), ("2022-05-01T00:10:00", 158))
    assert billed(it, APRIL) == {"2022-04-01": 5800}
    assert kept(it)[-1] == ("2022-05-01", 158_000, "reading")


def test_without_a_later_reading_the_last_one_is_carried_and_kept(interpolated: World) -> None:
    it = interpolated
    read(it, ("2022-04-01T00:00:00", 100), ("2022-04-29T00:00:00", 156))
    assert billed(it, APRIL) == {"2022-04-01": 5600}
    read(it, ("2022-05-03T00:00:00", 164), ("2022-05-31T23:50:00", 200))
    # The value at the end of April is kept for good: May begins from it.
    assert billed(it, MAY) == {"2022-05-01": 4400}
    assert kept(it)[-2:] == [("2022-05-01", 156_000, "estimated"), ("2022-06-01", 200_000, "reading")]


def test_a_month_without_a_reading_is_on_the_line_too(interpolated: World) -> None:
    it = interpolated
    read(it, ("2022-04-01T00:00:00", 100), ("2022-04-30T00:00:00", 158), ("2022-06-11T00:00:00", 242))
    assert billed(it, APRIL) == {"2022-04-01": 6000}
    assert billed(it, MAY) == {"2022-05-01": 6200}


def test_across_an_exchange_the_line_goes_on(interpolated: World) -> None:
    it = interpolated
    read(it, ("2022-04-01T00:00:00", 100), ("2022-04-29T00:00:00", 156))
    values: dict[str, Any] = {"final": "160", "initial": "10"}
    it.do("exchange", date(2022, 5, 10), metric="water", at="2022-05-03T00:00:00+00:00", **values)
    assert billed(it, APRIL) == {"2022-04-01": 5800}
    read(it, ("2022-05-31T00:00:00", 66), ("2022-06-02T00:00:00", 70))
    assert billed(it, MAY) == {"2022-05-01": 6000}


def test_unless_a_metric_says_so_the_last_reading_is_carried(database: Database) -> None:
    it = world(database, "register_width: 6")
    read(it, ("2022-04-01T00:00:00", 100), ("2022-04-29T00:00:00", 156), ("2022-05-01T00:00:00", 160))
    assert billed(it, APRIL) == {"2022-04-01": 5600}
    assert kept(it)[-1] == ("2022-05-01", 156_000, "estimated")


def test_after_a_full_turn_a_late_reading_is_charged_also_when_none_follows(database: Database) -> None:
    it = world(database, "register_width: 3")
    read(it, ("2022-04-01T00:00:00", 960), ("2022-04-20T00:00:00", 990), ("2022-04-27T00:00:00", 10))
    assert billed(it, APRIL) == {"2022-04-01": 5000}
    assert billed(it, MAY) == {}
    read(it, ("2022-05-02T00:00:00", 17))
    assert billed(it, JUNE) == {"2022-06-01": 700}


def test_what_was_used_since_a_first_reading_that_comes_late_is_charged(interpolated: World) -> None:
    it = interpolated
    read(it, ("2022-05-10T00:00:00", 120))
    assert billed(it, APRIL) == {}
    read(it, ("2022-05-31T23:50:00", 150))
    assert billed(it, MAY) == {"2022-05-01": 3000}
    read(it, ("2022-04-10T00:00:00", 90))
    # The line from the first reading to the next one passes the end of April at 111.
    assert billed(it, JUNE) == {"2022-04-01": 2100, "2022-05-01": 900}
    assert kept(it)[0] == ("2022-04-01", 90_000, "baseline")


class Meanwhile:
    """A database in which something is committed just before the state is taken that a month is planned on."""

    def __init__(self, database: Database, happens: Callable[[], None]) -> None:
        self.database, self.happens, self.states = database, happens, 0

    def transaction(self) -> AbstractContextManager[Session]:
        return self.database.transaction()

    def snapshot(self) -> AbstractContextManager[Session]:
        self.states += 1
        if self.states == 2:
            self.happens()  # the first state is the one that finds what is due
        return self.database.snapshot()

    def beside(self, session: Session) -> AbstractContextManager[Session] | None:
        return self.database.beside(session)


def test_a_first_reading_that_comes_while_a_close_begins_is_charged_by_it(interpolated: World) -> None:
    it = interpolated
    read(it, ("2022-05-10T00:00:00", 120), ("2022-05-31T23:50:00", 150))
    assert billed(it, MAY) == {"2022-05-01": 3000}
    database = Meanwhile(it.database, lambda: read(it, ("2022-04-10T00:00:00", 90)))
    (invoice,) = close(database, JUNE, noon(date(2022, 7, 1))).invoices
    found: dict[str, int] = {}
    for *_, start, amount in lines(invoice):
        found[start] = found.get(start, 0) + amount
    assert found == {"2022-04-01": 2100, "2022-05-01": 900}


def test_a_first_reading_that_comes_late_before_a_full_turn_is_charged(database: Database) -> None:
    it = world(database, "register_width: 3")
    read(it, ("2022-04-12T00:00:00", 10), ("2022-04-27T00:00:00", 30))
    assert billed(it, APRIL) == {"2022-04-01": 2000}
    read(it, ("2022-04-10T00:00:00", 990), ("2022-05-20T00:00:00", 35))
    assert billed(it, MAY) == {"2022-04-01": 2000, "2022-05-01": 500}


def test_a_value_that_is_replaced_corrects_both_periods_and_their_sum_stays(interpolated: World) -> None:
    it = interpolated
    read(it, ("2022-04-01T00:00:00", 100), ("2022-04-21T00:00:00", 150))
    assert billed(it, APRIL) == {"2022-04-01": 5000}
    read(it, ("2022-05-11T00:00:00", 170), ("2022-05-31T23:50:00", 190))
    assert billed(it, MAY) == {"2022-05-01": 4000}
    asked = it.ask("replace_boundary", date(2022, 6, 2), metric="water", on=date(2022, 5, 1))
    assert asked.result.as_json()["quality"] == "interpolated"
    it.do("replace_boundary", date(2022, 6, 2), metric="water", on=date(2022, 5, 1))
    assert billed(it, JUNE) == {"2022-04-01": 1000, "2022-05-01": -1000}
    assert ("2022-05-01", 160_000, "interpolated") in kept(it)
    assert it.events()[-1][1] | {"at": ""} == {
        "metric": "water",
        "at": "",
        "before": "150",
        "value": "160",
        "quality": "interpolated",
    }


def test_a_person_may_say_what_the_register_stood_at(interpolated: World) -> None:
    it = interpolated
    read(it, ("2022-04-01T00:00:00", 100), ("2022-04-21T00:00:00", 150))
    assert billed(it, APRIL) == {"2022-04-01": 5000}
    read(it, ("2022-05-31T23:50:00", 190))
    assert billed(it, MAY) == {"2022-05-01": 4000}
    with pytest.raises(Invalid, match="does not fit"):
        it.do("replace_boundary", date(2022, 6, 2), metric="water", on=date(2022, 5, 1), value="191")
    with pytest.raises(NotFound, match="no value of water"):
        it.do("replace_boundary", date(2022, 6, 2), metric="water", on=date(2022, 5, 10), value="160")
    it.do("replace_boundary", date(2022, 6, 2), metric="water", on=date(2022, 5, 1), value="155.5")
    it.do("replace_boundary", date(2022, 6, 2), metric="water", on=date(2022, 5, 1), value="155.5")
    assert [kind for kind, _ in it.events()].count("boundary_replaced") == 1
    assert billed(it, JUNE) == {"2022-04-01": 550, "2022-05-01": -550}
    with it.database.snapshot() as session:
        assert [each.quality for each in boundaries(session, "IOT_1")] == [
            "baseline",
            "replaced",
            "reading",
            "estimated",
        ]


def test_a_value_that_a_person_gave_is_counted_on_when_an_exchange_is_told_later(interpolated: World) -> None:
    it = interpolated
    read(it, ("2022-04-01T00:00:00", 100), ("2022-04-21T00:00:00", 150))
    assert billed(it, APRIL) == {"2022-04-01": 5000}
    read(it, ("2022-05-31T23:50:00", 190))
    assert billed(it, MAY) == {"2022-05-01": 4000}
    it.do("replace_boundary", date(2022, 6, 2), metric="water", on=date(2022, 5, 1), value="155.5")
    told: dict[str, Any] = {"metric": "water", "at": "2022-04-10T00:00:00+00:00", "final": "120"}
    it.do("exchange", date(2022, 6, 3), **told, initial="110")
    assert ("2022-05-01", 165_500, "replaced") in kept(it)
    assert billed(it, JUNE) == {"2022-04-01": 1550, "2022-05-01": -550}
    it.do("exchange", date(2022, 7, 3), **(told | {"final": "130"}), initial="110", correct=True)
    assert ("2022-05-01", 175_500, "replaced") in kept(it)


def test_a_value_that_a_person_gave_goes_where_readings_deny_it(interpolated: World) -> None:
    it = interpolated
    read(it, ("2022-04-01T00:00:00", 100), ("2022-04-21T00:00:00", 150), ("2022-04-25T00:00:00", 20))
    assert billed(it, APRIL) == {"2022-04-01": 5000}
    read(it, ("2022-05-31T23:50:00", 60))
    it.do("replace_boundary", date(2022, 6, 2), metric="water", on=date(2022, 5, 1), value="155")
    it.do("accept_readings", date(2022, 6, 3), metric="water")
    assert "replaced" not in {quality for *_, quality in kept(it)}
    assert sum(billed(it, MAY).values()) == 4000


def test_how_a_value_is_known_is_on_the_schedule_in_the_detail_and_in_the_explanation(
    interpolated: World, tmp_path: Path
) -> None:
    it = interpolated
    read(it, ("2022-04-01T00:00:00", 100), ("2022-04-29T00:00:00", 156), ("2022-05-03T00:00:00", 164))
    (invoice,) = it.close(APRIL).invoices
    with it.database.snapshot() as session:
        export_invoice(session, invoice.number, tmp_path / "detail.csv", "csv")
        explained = "".join(explained_texts(explained_lines(session, invoice.number)))
        (item,) = whole_object(session, "IOT_1")["contract_items"]
    detail = (tmp_path / "detail.csv").read_text(encoding="utf-8").splitlines()
    assert [row.rpartition(",")[2] for row in detail] == ["quality", "interpolated"]
    assert "the register went from 100 (baseline) to 160 (interpolated)" in explained
    assert [schedule["quality"] for schedule in item["schedules"][:2]] == ["interpolated", None]
