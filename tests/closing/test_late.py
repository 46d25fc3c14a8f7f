"""Late usage is found by the day it touched; where a period ends inside a UTC day, by the side that it lies on."""

from datetime import UTC, date, datetime

import pytest

from storage import reversals
from storage.database import Database
from storage.late import late_schedules, touched_days
from storage.reversals import Reversal
from storage.types import to_micros
from tests.closing.fleet import Fleet

ON_TIME, LATE_TOO, AFTER = "2022-04-30T20:00:00+00:00", "2022-04-30T21:59:59+00:00", "2022-04-30T22:00:00+00:00"
"""April ends at 22:00 UTC in Paris."""


@pytest.fixture
def fleet(database: Database) -> Fleet:
    """April of one object in Paris was charged."""
    it = Fleet(database)
    it.activate("IOT_NS542")
    it.uses("IOT_NS542", 12, ON_TIME)
    assert it.close(date(2022, 4, 30)).invoices
    return it


def late(fleet: Fleet) -> int:
    with fleet.database.snapshot() as session:
        return sum(map(len, late_schedules(session, touched_days(session)).values()))


def test_usage_of_the_next_month_on_the_last_utc_day_is_not_late(fleet: Fleet) -> None:
    fleet.uses("IOT_NS542", 1, AFTER)
    assert late(fleet) == 0


def test_usage_just_before_the_end_is_late(fleet: Fleet) -> None:
    fleet.uses("IOT_NS542", 1, AFTER)
    fleet.uses("IOT_NS542", 1, LATE_TOO)
    assert late(fleet) == 1
    assert fleet.close(date(2022, 5, 31)).invoices[0].lines[1].adjustment


def test_usage_on_a_whole_day_of_the_period_is_late(fleet: Fleet) -> None:
    fleet.uses("IOT_NS542", 1, "2022-04-14T08:00:00+00:00")
    assert late(fleet) == 1


def test_usage_just_after_the_beginning_is_late_and_before_it_is_not(fleet: Fleet) -> None:
    fleet.uses("IOT_NS542", 1, "2022-03-31T21:59:59+00:00")
    assert late(fleet) == 0
    fleet.uses("IOT_NS542", 1, "2022-03-31T22:00:00+00:00")
    assert late(fleet) == 1


def test_a_record_that_was_taken_back_just_before_the_end_is_late(fleet: Fleet) -> None:
    key = (to_micros(datetime.fromisoformat(ON_TIME)), fleet.ids["IOT_NS542"], fleet.metric_id, "")
    with fleet.database.transaction() as session:
        reversals.reverse(session, key, Reversal("wrong", "cli", "1"), datetime(2022, 5, 2, tzinfo=UTC))
    assert late(fleet) == 1


def test_each_zone_has_its_own_end_and_each_contract_its_own_mark(database: Database, fleet: Fleet) -> None:
    other = Fleet(database, contract="Far away", zone="America/New_York")
    other.activate("IOT_NY1")
    fleet.uses("IOT_NS542", 1, LATE_TOO)
    assert other.close(date(2022, 4, 30)).failures == ()
    assert late(fleet) == 1, "of the contract that was closed before it came"
    other.uses("IOT_NY1", 1, "2022-05-01T03:59:59+00:00")
    assert late(fleet) == 2
