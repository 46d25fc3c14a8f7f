"""A month begins and ends inside a UTC day nearly everywhere: what is read is the local month, to the microsecond."""

from datetime import date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from billing.core.periods import local_midnight
from storage.database import Database
from tests.closing.fleet import USAGE, Fleet

BESIDE = timedelta(microseconds=1)
COUNTED = {**USAGE, "name": "Count", "calculator": {**USAGE["calculator"], "aggregation": "count"}}  # type: ignore[dict-item] # a mapping
LARGEST = {**USAGE, "name": "Peak", "calculator": {**USAGE["calculator"], "aggregation": "max"}}  # type: ignore[dict-item] # a mapping


@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Paris", "America/New_York", "Asia/Tokyo", "Pacific/Kiritimati", "Asia/Kathmandu"]
)
def test_a_month_is_its_local_days_in_any_zone(database: Database, zone: str) -> None:
    start, end = (local_midnight(day, ZoneInfo(zone)) for day in (date(2022, 4, 1), date(2022, 5, 1)))
    inside = [start, start + timedelta(hours=13), datetime.fromisoformat("2022-04-14T10:00:00Z"), end - BESIDE]
    outside = [start - timedelta(hours=13), start - BESIDE, end, end + timedelta(hours=13)]
    fleet = Fleet(database, charges=(USAGE, COUNTED, LARGEST), zone=zone)
    fleet.activate("IOT_NS542")
    fleet.activate("SILENT")
    for place, at in enumerate(inside + outside):
        fleet.uses("IOT_NS542", 2**place, at.isoformat())
    fleet.activate("BESIDE")
    for at in outside:
        fleet.uses("BESIDE", 1, at.isoformat())
    assert fleet.close(date(2022, 4, 30)).failures == ()
    april = {it.charge_id: it.quantity for it in fleet.schedules("IOT_NS542") if it.starts_on == date(2022, 4, 1)}
    assert [april[charge_id] for charge_id in sorted(april)] == [Fraction(1 + 2 + 4 + 8), Fraction(4), Fraction(8)]
    for name in ("SILENT", "BESIDE"):
        assert {it.status for it in fleet.schedules(name) if it.starts_on == date(2022, 4, 1)} == {"settled"}
