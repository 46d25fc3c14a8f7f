"""Laws of the close that no other file holds: in steps or at once, a peak settled twice, periods in every zone."""

import shutil
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.charges import charge_from
from billing.core.periods import DAY, add_months, local_midnight
from billing.core.schedules import plan_schedules
from storage.database import Database
from tests.closing.fleet import FEE, USAGE, Fleet

MONTHS = [add_months(date(2022, 5, 1), n) - DAY for n in range(6)]
ZONES = (
    *("Pacific/Pago_Pago", "Pacific/Honolulu", "America/St_Johns", "America/Santiago", "Atlantic/Azores", "UTC"),
    *("Europe/Paris", "Africa/Cairo", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kiritimati"),
)
"""From -11 to +14, with half hours, quarters of hours, clocks that change by 30 minutes, and midnights that are not."""


def fleet_on(path: Path, empty: Path) -> Fleet:
    shutil.copy(empty, path)
    database = Database(f"sqlite:///{path}")
    fleet = Fleet(database, charges=(FEE, USAGE))
    for reference, first in (("IOT_1", date(2022, 4, 1)), ("IOT_2", date(2022, 5, 17))):
        fleet.activate(reference, starts_on=first)
        for month in range(4, 10):
            fleet.uses(reference, month, f"2022-{month:02d}-2{month % 9}T10:00:00+00:00")
    return fleet


def billed(fleet: Fleet, steps: list[date]) -> list[tuple[str, int, list[tuple[str, str, int]]]]:
    return [
        (invoice.number, invoice.gross_minor, [(it.label, str(it.quantity), it.net_minor) for it in invoice.lines])
        for until in steps
        for invoice in fleet.close(until).invoices
    ]


@pytest.mark.parametrize("steps", [[0, 1, 2, 3, 4, 5], [2, 5], [0, 4, 5], [3, 3, 5]])
def test_closing_in_steps_is_closing_at_once(tmp_path: Path, migrated_file: Path, steps: list[int]) -> None:
    at_once, in_steps = (fleet_on(tmp_path / name, migrated_file) for name in ("once.db", "steps.db"))
    assert billed(in_steps, [MONTHS[step] for step in steps]) == billed(at_once, MONTHS[-1:])


@pytest.mark.parametrize("aggregation", ["max", "latest"])
def test_a_peak_that_is_settled_twice_bills_what_it_rose_and_not_all_of_it(
    database: Database, aggregation: str
) -> None:
    calculator = {"metric": "usage", "aggregation": aggregation, "price": {"model": "per_unit", "unit_price": "1"}}
    fleet = Fleet(database, charges=[{"name": "Peak", "type": "usage", "vat_rate": "20", "calculator": calculator}])
    fleet.activate("IOT_1")
    fleet.uses("IOT_1", 12, "2022-04-14T10:00:00+00:00")
    assert [invoice.net_minor for invoice in fleet.close(MONTHS[0]).invoices] == [1200]
    fleet.uses("IOT_1", 15, "2022-04-20T10:00:00+00:00")
    assert [invoice.net_minor for invoice in fleet.close(MONTHS[1]).invoices] == [300]
    fleet.uses("IOT_1", 14, "2022-04-19T10:00:00+00:00")
    assert fleet.close(MONTHS[2]).invoices == ()


@given(
    starts_on=st.dates(date(2020, 1, 1), date(2028, 12, 31)),
    zone=st.sampled_from(ZONES),
    anchor=st.sampled_from(("calendar", "anniversary")),
    seconds=st.sampled_from((-1, 0, 1)),
)
def test_in_every_zone_a_year_is_tiled_and_a_boundary_second_is_in_one_period(
    starts_on: date, zone: str, anchor: str, seconds: int
) -> None:
    charge = charge_from({**USAGE, "anchor": anchor})
    planned = plan_schedules([charge], starts_on, add_months(starts_on, 12))
    assert len(planned) == (12 if anchor == "anniversary" or starts_on.day == 1 else 13)
    known = ZoneInfo(zone)
    spans = [(local_midnight(it.period.starts_on, known), local_midnight(it.period.ends_on, known)) for it in planned]
    assert all(one[1] == other[0] for one, other in pairwise(spans))
    assert all(start < end for start, end in spans)
    for start, _ in spans[1:]:
        instant = start + timedelta(seconds=seconds)
        assert sum(begins <= instant < ends for begins, ends in spans) == 1
    whole = sum((Fraction(it.period.days, it.period.nominal_days) for it in planned), Fraction(0))
    assert anchor == "calendar" or whole == 12
    assert sum(it.period.days for it in planned) == (add_months(starts_on, 12) - starts_on).days


def test_there_is_an_hour_more_and_an_hour_less_among_these_days() -> None:
    lengths = {
        (local_midnight(day + DAY, ZoneInfo("Europe/Paris")) - local_midnight(day, ZoneInfo("Europe/Paris")))
        for day in (date(2022, 3, 27), date(2022, 10, 30), date(2022, 6, 1))
    }
    assert lengths == {timedelta(hours=hours) for hours in (23, 24, 25)}
    assert local_midnight(date(2022, 1, 1), ZoneInfo("Pacific/Kiritimati")) == datetime(2021, 12, 31, 10, tzinfo=UTC)
