"""Periods tile the life of an item, whatever the day it starts on; fees follow the days."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.calculators import Calculator
from billing.core.charges import Charge, Recurring, Usage, WhileSuspended
from billing.core.errors import Invalid
from billing.core.measured import Measured
from billing.core.money import format_minor, to_minor
from billing.core.periods import DAY, Anchor, Every, Period, add_months, billing_months, local_midnight, tile
from billing.core.prices import PerUnit
from billing.core.schedules import plan_schedules
from billing.core.valuing import suspended_spans, value, value_fee

days = st.dates(min_value=date(1990, 1, 1), max_value=date(2090, 12, 31))
anchors = st.sampled_from(["calendar", "anniversary"])
cycles = st.sampled_from([Every(weeks=1), *(Every(months=months) for months in (1, 3, 6, 12))])


def fee(amount: str = "31", **changes: Any) -> Recurring:
    values: dict[str, Any] = {"name": "Fee", "amount": Fraction(amount), "vat_rate": Fraction(20)}
    return Recurring(**{**values, **changes})


@given(starts_on=days, length=st.integers(1, 2000), every=cycles, anchor=anchors)
def test_periods_tile_a_term_without_gap_or_overlap(starts_on: date, length: int, every: Every, anchor: Anchor) -> None:
    ends_on = starts_on + timedelta(days=length)
    periods = tile(starts_on, ends_on, every, anchor)
    assert periods[0].starts_on == starts_on
    assert periods[-1].ends_on == ends_on
    for before, after in pairwise(periods):
        assert before.ends_on == after.starts_on == before.nominal_ends_on == after.nominal_starts_on
    for period in periods:
        assert period.nominal_starts_on <= period.starts_on < period.ends_on <= period.nominal_ends_on


@given(starts_on=days, months=st.integers(1, 36))
def test_the_anniversary_anchor_gives_as_many_periods_as_the_term_has_months(starts_on: date, months: int) -> None:
    periods = tile(starts_on, add_months(starts_on, months), Every(months=1), "anniversary")
    assert len(periods) == months
    assert all(period.days == period.nominal_days for period in periods)


@given(starts_on=days)
def test_a_year_has_12_calendar_months_from_a_first_and_13_from_any_other_day(starts_on: date) -> None:
    periods = tile(starts_on, add_months(starts_on, 12), Every(months=1), "calendar")
    assert len(periods) == (12 if starts_on.day == 1 else 13)
    assert all(period.nominal_starts_on.day == period.nominal_ends_on.day == 1 for period in periods)


def inclusive(starts_on: date, count: int) -> list[str]:
    periods = tile(starts_on, add_months(starts_on, count), Every(months=1), "anniversary")
    return [f"{period.starts_on:%m-%d}..{period.ends_on - DAY:%m-%d}" for period in periods]


def test_an_anniversary_at_a_month_end_clamps_and_does_not_drift() -> None:
    # getlago/lago-api@1b1c24a6a:spec/scenarios/subscriptions/billing_boundaries_spec.rb
    assert inclusive(date(2024, 1, 31), 3) == ["01-31..02-28", "02-29..03-30", "03-31..04-29"]
    assert inclusive(date(2024, 1, 30), 4) == ["01-30..02-28", "02-29..03-29", "03-30..04-29", "04-30..05-29"]
    (year,) = tile(date(2024, 1, 31), date(2025, 1, 31), Every(months=12), "anniversary")
    assert (year.starts_on, year.ends_on - DAY) == (date(2024, 1, 31), date(2025, 1, 30))


def test_calendar_quarters_begin_with_the_year() -> None:
    periods = tile(date(2022, 5, 10), date(2022, 8, 1), Every(months=3), "calendar")
    assert [(p.nominal_starts_on, p.nominal_ends_on) for p in periods] == [
        (date(2022, 4, 1), date(2022, 7, 1)),
        (date(2022, 7, 1), date(2022, 10, 1)),
    ]


@pytest.mark.parametrize(
    "starts_on,ends_on,months",
    [
        (date(2022, 1, 1), date(2022, 1, 1), 1),
        (date(2022, 1, 1), date(2023, 1, 1), 0),
        (date(1900, 1, 1), date(2022, 1, 1), 1),
    ],
)
def test_a_term_that_makes_no_sense_is_refused(starts_on: date, ends_on: date, months: int) -> None:
    with pytest.raises(Invalid):
        tile(starts_on, ends_on, Every(months=months), "calendar")


def test_a_month_outside_the_calendar_is_refused() -> None:
    with pytest.raises(Invalid, match="9999"):
        add_months(date(9999, 12, 1), 1)


@pytest.mark.parametrize(
    "day,zone,expected",
    [
        (date(2022, 4, 1), "Europe/Paris", datetime(2022, 3, 31, 22, tzinfo=UTC)),
        (date(2022, 1, 1), "Europe/Paris", datetime(2021, 12, 31, 23, tzinfo=UTC)),
        (date(2018, 11, 4), "America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC)),  # midnight was skipped
        (date(2022, 11, 6), "America/Havana", datetime(2022, 11, 6, 4, tzinfo=UTC)),  # midnight came twice
    ],
)
def test_a_local_day_begins_at_its_first_instant(day: date, zone: str, expected: datetime) -> None:
    assert local_midnight(day, ZoneInfo(zone)) == expected


@given(day=days, zone=st.sampled_from(["Europe/Paris", "America/Denver", "America/Sao_Paulo", "Asia/Kolkata", "UTC"]))
def test_local_days_follow_each_other(day: date, zone: str) -> None:
    assert local_midnight(day, ZoneInfo(zone)) < local_midnight(day + DAY, ZoneInfo(zone))


def test_billing_months_are_whole_and_ended() -> None:
    april, may, june = date(2022, 4, 1), date(2022, 5, 1), date(2022, 6, 1)
    assert list(billing_months(date(2022, 4, 14), date(2022, 4, 29))) == []
    assert list(billing_months(date(2022, 4, 14), date(2022, 4, 30))) == [(april, may)]
    assert list(billing_months(april, date(2022, 6, 29))) == [(april, may), (may, june)]


@pytest.mark.parametrize(
    "amount,starts_on,ends_on,expected,source",
    [
        ("50.00", (8, 10), (9, 1), "35.48", "getlago/lago-docs@502a9e785:docs/guide/05_plans/subscription.md"),
        ("3.00", (12, 16), (12, 21), "0.48", "lago-api invoices_spec.rb:388, one of its ten units"),
        ("10.00", (12, 15), (12, 21), "1.94", "getlago/lago-api@1b1c24a6a:spec/scenarios/invoices/invoices_spec.rb"),
    ],
)
def test_a_part_of_a_month_costs_its_days(
    amount: str, starts_on: tuple[int, int], ends_on: tuple[int, int], expected: str, source: str
) -> None:
    (period,) = tile(date(2022, *starts_on), date(2022, *ends_on), Every(months=1), "calendar")
    (component,) = value_fee(fee(amount), period, ZoneInfo("UTC"))
    assert component.unit_price == Fraction(amount)
    assert format_minor(to_minor(component.amount, "EUR"), 2) == expected, source


@given(starts_on=days)
def test_the_parts_of_a_first_and_last_month_add_up_to_the_months_of_the_term(starts_on: date) -> None:
    monthly = tile(starts_on, add_months(starts_on, 12), Every(months=1), "calendar")
    parts = [value_fee(fee(), period, ZoneInfo("UTC"))[0].quantity for period in monthly]
    # February of a leap year is another whole than February of a common one.
    if starts_on.month != 2 or len(monthly) == 12:
        assert sum(parts) == 12


APRIL = Period(
    starts_on=date(2022, 4, 1),
    ends_on=date(2022, 5, 1),
    nominal_starts_on=date(2022, 4, 1),
    nominal_ends_on=date(2022, 5, 1),
)


def suspended_days(period: Period, spans: Iterable[tuple[date, date | None]]) -> int:
    return sum((end - begin).days for begin, end in suspended_spans(period, spans))


def test_suspended_days_are_counted_once_and_inside_the_period_only() -> None:
    spans = [
        (date(2022, 3, 20), date(2022, 4, 3)),
        (date(2022, 4, 2), date(2022, 4, 4)),
        (date(2022, 4, 10), date(2022, 4, 10)),
        (date(2022, 4, 29), None),
    ]
    assert suspended_days(APRIL, spans) == 3 + 2


@given(spans=st.lists(st.tuples(st.integers(-5, 35), st.integers(0, 20)), max_size=6))
def test_suspended_days_agree_with_counting_them_one_by_one(spans: list[tuple[int, int]]) -> None:
    dates = [(date(2022, 4, 1) + a * DAY, date(2022, 4, 1) + (a + n) * DAY) for a, n in spans]
    april = [date(2022, 4, 1) + n * DAY for n in range(30)]
    assert suspended_days(APRIL, dates) == sum(any(a <= day < b for a, b in dates) for day in april)


@pytest.mark.parametrize(
    "changes,suspended,quantity",
    [
        ({}, 10, Fraction(20, 30)),
        ({}, 30, Fraction(0)),
        ({"while_suspended": WhileSuspended("charge")}, 10, Fraction(1)),
        ({"prorate": "none"}, 29, Fraction(1)),
        ({"prorate": "none"}, 30, Fraction(0)),
    ],
)
def test_a_suspension_lowers_the_fee_as_the_plan_says(
    changes: dict[str, Any], suspended: int, quantity: Fraction
) -> None:
    components = value_fee(
        fee(**changes), APRIL, ZoneInfo("UTC"), [(APRIL.starts_on, APRIL.starts_on + suspended * DAY)]
    )
    assert sum((part.quantity for part in components), Fraction(0)) == quantity


def usage() -> Usage:
    return Usage(
        name="Usage",
        calculator=Calculator(metric="usage", price=PerUnit(unit_price=Fraction("2.50"))),
        vat_rate=Fraction(20),
    )


def test_a_usage_of_12_is_worth_30() -> None:
    (component,) = value(usage(), part=Fraction(1), measured=Measured(quantity=Fraction(12)))
    assert component.amount == 30


def test_a_year_from_april_has_12_usage_schedules_due_on_the_last_day() -> None:
    planned = plan_schedules([usage()], date(2022, 4, 1), date(2023, 4, 1))
    assert len(planned) == 12
    assert planned[0].due_on == date(2022, 4, 30)
    assert all(schedule.due_on == schedule.period.ends_on - DAY for schedule in planned)


def test_a_fee_in_advance_is_due_before_its_period_and_the_first_on_the_first_day() -> None:
    charges: list[Charge] = [usage(), fee(timing="advance")]
    planned = [s for s in plan_schedules(charges, date(2022, 4, 10), date(2022, 7, 1)) if s.charge_position == 1]
    assert [schedule.due_on for schedule in planned] == [date(2022, 4, 10), date(2022, 4, 30), date(2022, 5, 31)]
