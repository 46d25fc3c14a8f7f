"""Days, months and service periods, each computed from the anchor; half open, without gap or overlap."""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from billing.core.errors import Invalid

Anchor = Literal["calendar", "anniversary"]
DAY = timedelta(days=1)
PERIODS_LIMIT = 1200
"""Periods of one charge on one item: a hundred years of months; more is a mistake in a date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Local days `[starts_on, ends_on)`, and the whole (nominal) period that they are all or a part of."""

    starts_on: date
    ends_on: date
    nominal_starts_on: date
    nominal_ends_on: date

    @property
    def days(self) -> int:
        """Days of service."""
        return (self.ends_on - self.starts_on).days

    @property
    def nominal_days(self) -> int:
        """Days of the whole period, the denominator of a prorated fee."""
        return (self.nominal_ends_on - self.nominal_starts_on).days


def local_midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local day, in UTC.

    Where clocks jump over midnight it is the jump; where midnight comes twice it is the first (PEP 495, fold 0).
    """
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def add_months(anchor: date, n: int) -> date:
    """`n` months from the anchor, on its day or the month's last: 31 January gives 28 February, then 31 March.

    Always counted from the anchor, so that a short month leaves no drift. Raises Invalid outside years 1 to 9999.
    """
    year, month = divmod(anchor.year * 12 + anchor.month - 1 + n, 12)
    if not date.min.year <= year <= date.max.year:
        raise Invalid(f"{n} months from {anchor} is outside the calendar; choose a nearer date")
    return date(year, month + 1, min(anchor.day, monthrange(year, month + 1)[1]))


def tile(starts_on: date, ends_on: date, months: int, anchor: Anchor) -> tuple[Period, ...]:
    """The periods of `months` months that tile the days `[starts_on, ends_on)`.

    `calendar` cuts at calendar months (quarters, half years and years of the calendar), the first and last being
    parts; `anniversary` cuts at the start day of each month. Raises Invalid for an empty term, or one of more than
    1200 periods.
    """
    if starts_on >= ends_on:
        raise Invalid(f"a term ends after it starts, got {starts_on} to {ends_on}")
    if months < 1:
        raise Invalid(f"a period has at least one month, got {months}")
    match anchor:
        case "calendar":
            first = starts_on.replace(day=1, month=(starts_on.month - 1) // months * months + 1)
        case "anniversary":
            first = starts_on
    periods: list[Period] = []
    while (nominal_starts_on := add_months(first, len(periods) * months)) < ends_on:
        if len(periods) == PERIODS_LIMIT:
            raise Invalid(f"{starts_on} to {ends_on} has more than {PERIODS_LIMIT} periods; choose a shorter term")
        nominal_ends_on = add_months(first, (len(periods) + 1) * months)
        periods.append(
            Period(
                starts_on=max(starts_on, nominal_starts_on),
                ends_on=min(ends_on, nominal_ends_on),
                nominal_starts_on=nominal_starts_on,
                nominal_ends_on=nominal_ends_on,
            )
        )
    return tuple(periods)


def billing_months(from_day: date, until: date) -> Iterator[tuple[date, date]]:
    """The whole calendar months `[start, end)` from the one of `from_day` that have ended by `until`, included."""
    starts_on = from_day.replace(day=1)
    while (ends_on := add_months(starts_on, 1)) - DAY <= until:
        yield starts_on, ends_on
        starts_on = ends_on
