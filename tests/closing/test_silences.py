"""An object that is silent for longer than its metric expects has a gap, until what it lacks is there."""

from datetime import UTC, date, datetime, timedelta

import pytest

from billing.core.silences import MICROS, holes
from billing.silences import Looked, look
from storage import gaps
from storage.database import Database
from storage.tables import ConnectedObject, Metric, ObjectEvent
from tests.closing.fleet import Fleet

NOON = datetime(2022, 4, 14, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def watched(database: Database, kind: str = "delta") -> Fleet:
    """A fleet of one object whose metric is expected every two hours, heard at noon."""
    fleet = Fleet(database, kind=kind)
    with database.transaction() as session:
        session.get_one(Metric, fleet.metric_id).expected_seconds = 7200
    fleet.activate("IOT_1", starts_on=date(2022, 4, 14))
    heard(fleet, NOON)
    return fleet


def heard(fleet: Fleet, *times: datetime) -> None:
    for at in times:
        fleet.uses("IOT_1", 1, at.isoformat())


def looked(fleet: Fleet, now: datetime, *, again: bool = False) -> Looked:
    with fleet.database.transaction() as session:
        return look(session, now, again=again)


def known(fleet: Fleet) -> list[tuple[datetime, datetime | None, str | None]]:
    """Start, end and clearing of each gap, in the order of their starts."""
    with fleet.database.snapshot() as session:
        found = [each.gap for each in gaps.listed(session)]
        assert all(gap.reason == "silent" and gap.object_id == fleet.ids["IOT_1"] for gap in found)
        return sorted((gap.starts_at, gap.ends_at, gap.cleared_by) for gap in found)


def test_a_silence_begins_with_the_last_record_and_ends_with_the_next(database: Database) -> None:
    fleet = watched(database)
    assert looked(fleet, NOON + 2 * HOUR) == Looked(), "two hours are as expected"
    assert looked(fleet, NOON + 3 * HOUR) == Looked(begun=1)
    assert looked(fleet, NOON + 4 * HOUR) == Looked(), "looking again changes nothing"
    assert known(fleet) == [(NOON, None, None)]
    heard(fleet, NOON + 5 * HOUR)
    assert looked(fleet, NOON + 5 * HOUR) == Looked(ended=1)
    assert known(fleet) == [(NOON, NOON + 5 * HOUR, None)]
    assert [it.reason for it in fleet.close(date(2022, 4, 30)).incomplete] == ["silent"]


def test_an_object_that_never_spoke_is_silent_from_its_first_day(database: Database) -> None:
    fleet = watched(database)
    fleet.activate("IOT_2", starts_on=date(2022, 4, 14))
    looked(fleet, NOON + HOUR)
    with database.snapshot() as session:
        (found,) = gaps.listed(session)
        assert (found.object_reference, found.metric) == ("IOT_2", "usage")
        assert found.gap.starts_at == datetime(2022, 4, 13, 22, tzinfo=UTC), "midnight in Paris"


def test_what_an_object_kept_and_sends_later_clears_the_silence(database: Database) -> None:
    fleet = watched(database)
    looked(fleet, NOON + 3 * HOUR)
    heard(fleet, NOON + 9 * HOUR)
    looked(fleet, NOON + 9 * HOUR)
    assert known(fleet) == [(NOON, NOON + 9 * HOUR, None)]
    heard(fleet, NOON + HOUR, NOON + 3 * HOUR)
    assert looked(fleet, NOON + 9 * HOUR) == Looked(), "only a close looks at what has ended"
    assert looked(fleet, NOON + 9 * HOUR, again=True) == Looked(cleared=1)
    assert known(fleet) == [
        (NOON, NOON + 9 * HOUR, "arrived"),
        (NOON + 3 * HOUR, NOON + 9 * HOUR, None),
    ], "the rest is still missing"
    heard(fleet, NOON + 5 * HOUR, NOON + 7 * HOUR)
    assert looked(fleet, NOON + 9 * HOUR, again=True) == Looked(cleared=1)
    assert looked(fleet, NOON + 9 * HOUR, again=True) == Looked()
    assert [cleared for _, _, cleared in known(fleet)] == ["arrived", "arrived"]


def test_a_register_is_whole_with_its_next_reading(database: Database) -> None:
    fleet = watched(database, kind="cumulative")
    looked(fleet, NOON + 3 * HOUR)
    heard(fleet, NOON + 24 * HOUR)
    assert looked(fleet, NOON + 24 * HOUR) == Looked(cleared=1)
    assert known(fleet) == [(NOON, NOON + 24 * HOUR, "register")]


def test_nobody_waits_for_a_suspended_object_and_after_it_time_counts_from_its_return(database: Database) -> None:
    fleet = watched(database)
    with database.transaction() as session:
        session.get_one(ConnectedObject, fleet.ids["IOT_1"]).status = "suspended"
    assert looked(fleet, NOON + 24 * HOUR) == Looked()
    with database.transaction() as session:
        session.get_one(ConnectedObject, fleet.ids["IOT_1"]).status = "active"
        at = NOON + 24 * HOUR
        session.add(
            ObjectEvent(
                object_id=fleet.ids["IOT_1"], kind="resumed", occurred_at=at, recorded_at=at, origin="cli", detail={}
            )
        )
    assert looked(fleet, NOON + 25 * HOUR) == Looked()
    assert looked(fleet, NOON + 27 * HOUR) == Looked(begun=1)
    assert known(fleet) == [(NOON + 24 * HOUR, None, None)]


@pytest.mark.parametrize(
    "times, found",
    [([], []), ([1, 2, 3], []), ([3], [(0, 3)]), ([1, 4, 5, 9], [(1, 4), (5, 9)])],
)
def test_holes_are_what_is_longer_than_expected(times: list[int], found: list[tuple[int, int]]) -> None:
    scaled = [at * MICROS for at in times]
    assert list(holes(0, scaled, 2)) == [(start * MICROS, end * MICROS) for start, end in found]
