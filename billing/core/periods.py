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


EVERY_BY_WORD = {"week": (0, 1), "month": (1, 0), "quarter": (3, 0), "semester": (6, 0), "year": (12, 0)}
"""Months and weeks of a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """How long a whole period is: `months` months, or `weeks` weeks. Raises Invalid unless exactly one is above 0."""

    months: int = 0
    weeks: int = 0

    def __post_init__(self) -> None:
        if min(self.months, self.weeks) != 0 or max(self.months, self.weeks) < 1:
            raise Invalid(f"a period has months or weeks, at least one, got {self.months} and {self.weeks}")

    @classmethod
    def from_entry(cls, value: object) -> "Every":
        """From a word, or from a number of months that a word stands for."""
        for word, (months, weeks) in EVERY_BY_WORD.items():
            if value == word or (value == months and months and not isinstance(value, bool)):
                return cls(months=months, weeks=weeks)
        raise Invalid(f"{value!r} should be {' or '.join(EVERY_BY_WORD)}, or the months 1, 3, 6 or 12")

    def as_entry(self) -> str:
        return next(word for word, lengths in EVERY_BY_WORD.items() if lengths == (self.months, self.weeks))


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


def nth_start(first: date, every: Every, n: int) -> date:
    """The first day of the n-th whole period, counted from 0 at `first`."""
    return first + n * every.weeks * 7 * DAY if every.weeks else add_months(first, n * every.months)


def period_number(day: date, starts_on: date, every: Every, anchor: Anchor) -> int:
    """Which whole period, counted from 0, a day lies in when those of a service that begins on `starts_on` are cut."""
    first = first_day(starts_on, every, anchor)
    if every.weeks:
        return (day - first).days // (7 * every.weeks)
    n = ((day.year - first.year) * 12 + day.month - first.month) // every.months
    return n if nth_start(first, every, n) <= day else n - 1


def first_day(starts_on: date, every: Every, anchor: Anchor) -> date:
    """The first day of the whole period that `starts_on` lies in: the calendar's (weeks begin on Monday) or its own."""
    match anchor:
        case "calendar" if every.weeks:
            return starts_on - starts_on.weekday() * DAY
        case "calendar":
            return starts_on.replace(day=1, month=(starts_on.month - 1) // every.months * every.months + 1)
        case "anniversary":
            return starts_on


def tile(starts_on: date, ends_on: date, every: Every, anchor: Anchor) -> tuple[Period, ...]:
    """The whole periods that tile the days `[starts_on, ends_on)`.

    `calendar` cuts at calendar months (quarters, half years and years of the calendar, or ISO weeks), the first and
    last being parts; `anniversary` cuts at the start day of each month or week. Raises Invalid for an empty term, or
    one of more than 1200 periods.
    """
    if starts_on >= ends_on:
        raise Invalid(f"a term ends after it starts, got {starts_on} to {ends_on}")
    first = first_day(starts_on, every, anchor)
    periods: list[Period] = []
    while (nominal_starts_on := nth_start(first, every, len(periods))) < ends_on:
        if len(periods) == PERIODS_LIMIT:
            raise Invalid(f"{starts_on} to {ends_on} has more than {PERIODS_LIMIT} periods; choose a shorter term")
        nominal_ends_on = nth_start(first, every, len(periods) + 1)
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
