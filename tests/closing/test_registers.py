"""Registers at the end of an item: what is read late is charged, once, also where no period follows."""

from datetime import date

import pytest
from sqlalchemy import text

from billing.verify import differences, verify
from storage.database import Database
from tests.closing.fleet import Fleet

METER = {
    "name": "Meter",
    "type": "usage",
    "vat_rate": "20",
    "calculator": {"metric": "usage", "price": {"model": "per_unit", "unit_price": "1"}},
}
APRIL, MAY, JUNE, JULY = date(2022, 4, 30), date(2022, 5, 31), date(2022, 6, 30), date(2022, 7, 31)


@pytest.fixture
def fleet(database: Database) -> Fleet:
    """A meter that counted 100 in its two months of service."""
    it = Fleet(database, charges=[METER], kind="cumulative")
    it.activate("METER", ends_on=date(2022, 6, 1))
    it.uses("METER", 1000, "2022-04-02T10:00:00Z")
    it.uses("METER", 1040, "2022-04-20T10:00:00Z")
    it.uses("METER", 1100, "2022-05-20T10:00:00Z")
    assert [it.close(until).invoices[0].net_minor for until in (APRIL, MAY)] == [4000, 6000]
    return it


def charged(fleet: Fleet, until: date) -> list[int]:
    return [invoice.net_minor for invoice in fleet.close(until).invoices]


def in_books(fleet: Fleet) -> bool:
    with fleet.database.snapshot() as session:
        return differences(verify(session)) == []


def test_a_late_reading_of_the_last_period_is_charged_once(fleet: Fleet) -> None:
    fleet.uses("METER", 1130, "2022-05-31T10:00:00Z")
    assert charged(fleet, JUNE) == [3000]
    fleet.uses("METER", 1120, "2022-05-25T10:00:00Z")
    assert charged(fleet, JULY) == []
    assert in_books(fleet)


def test_a_late_reading_of_an_earlier_period_is_charged_with_the_last_one(fleet: Fleet) -> None:
    fleet.uses("METER", 1107, "2022-04-30T10:00:00Z")
    assert charged(fleet, JUNE) == [700]
    assert in_books(fleet)


def test_what_was_read_after_the_last_day_is_not_charged(fleet: Fleet) -> None:
    fleet.uses("METER", 1200, "2022-06-01T10:00:00Z")
    assert charged(fleet, JUNE) == []
    assert in_books(fleet)


def test_where_a_later_item_has_the_register_it_charges_what_comes_late(fleet: Fleet) -> None:
    fleet.continue_with("METER", starts_on=date(2022, 6, 1), ends_on=date(2022, 8, 1))
    fleet.uses("METER", 1130, "2022-05-31T10:00:00Z")
    fleet.uses("METER", 1150, "2022-06-20T10:00:00Z")
    assert charged(fleet, JUNE) == [5000]
    assert charged(fleet, JULY) == []
    assert in_books(fleet)


def test_a_later_item_starts_from_what_was_charged_late(fleet: Fleet) -> None:
    fleet.uses("METER", 1130, "2022-05-31T10:00:00Z")
    assert charged(fleet, JUNE) == [3000]
    fleet.continue_with("METER", starts_on=date(2022, 7, 1), ends_on=date(2022, 8, 1))
    fleet.uses("METER", 1150, "2022-07-20T10:00:00Z")
    assert charged(fleet, JULY) == [2000]
    assert in_books(fleet)


def test_a_value_that_was_changed_by_hand_is_found(fleet: Fleet) -> None:
    with fleet.database.transaction() as session:
        session.connection().execute(text("UPDATE boundary_value SET quantity = 0"))
        assert "registers" in {finding.check for finding in verify(session)}


@pytest.mark.parametrize(
    "changed",
    [
        "DELETE FROM boundary_value WHERE at = (SELECT MAX(at) FROM boundary_value)",
        "UPDATE boundary_value SET quantity = quantity * 2 WHERE quality = 'baseline'",
    ],
)
def test_a_chain_that_is_broken_is_found(fleet: Fleet, changed: str) -> None:
    with fleet.database.transaction() as session:
        assert "chain" not in {finding.check for finding in verify(session)}
        session.connection().execute(text(changed))
        assert "chain" in {finding.check for finding in verify(session)}
