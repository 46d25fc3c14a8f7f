"""The auditor's calendar: which period a day is in, what a fee is worth in it, and how long a level held.

The law: it shares no code with the engine, and goes day by day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from gateway.simulation.story import DAY, Device, months_later
from gateway.simulation.tariffs import Call

MONTHS = {"month": 1, "quarter": 3, "semester": 6, "year": 12}


class Period(NamedTuple):
    """A whole period, its end exclusive."""

    first: date
    end: date

    @property
    def days(self) -> int:
        """How many it has."""
        return (self.end - self.first).days


@dataclass(frozen=True, slots=True)
class Served:
    """The days of a period in which an object was on a plan, and since when it is served at all."""

    period: Period
    days: list[date]
    since: date


def period_of(day: date, charge: Mapping[str, Any], since: date) -> Period:
    """The whole period of a charge that a day is in; an anniversary counts from the first day of the service."""
    if charge["every"] == "week":
        first = since if charge.get("anchor") == "anniversary" else date(2023, 1, 2)  # a Monday
        first += (day - first).days // 7 * 7 * DAY
        return Period(first, first + 7 * DAY)
    months = MONTHS[charge["every"]]
    if charge.get("anchor") == "anniversary":
        number = 0
        while months_later(since, (number + 1) * months) <= day:
            number += 1
        return Period(months_later(since, number * months), months_later(since, (number + 1) * months))
    first = date(day.year, (day.month - 1) // months * months + 1, 1)
    return Period(first, months_later(first, months))


def fee(device: Device, charge: Mapping[str, Any], served: Served) -> Fraction:
    """What the days of a period cost in fees."""
    amount, paused = Fraction(charge["amount"]), charge.get("while_suspended", "stop")
    first_charged = served.since + charge.get("trial_days", 0) * DAY
    days = [day for day in served.days if day >= first_charged]
    pauses = [day for day in days if any(start <= day < end for start, end in device.suspended)]
    if paused == "charge":
        pauses = []
    on = len(days) - len(pauses)
    match charge["prorate"]:
        case "none":
            worth = amount if on else Fraction(0)
        case "full":
            worth = amount if on == served.period.days else Fraction(0)
        case _:
            worth = amount * on / served.period.days
            if not isinstance(paused, str):
                worth += Fraction(paused["amount"]) * len(pauses) / served.period.days
    discount = charge.get("discount")
    if discount is None:
        return worth
    number, period = 1, period_of(first_charged, charge, served.since)
    while period != served.period:
        number, period = number + 1, period_of(period.end, charge, served.since)
    return worth - worth * Fraction(discount["percent"]) / 100 if number <= discount["periods"] else worth


def is_level(charge: Mapping[str, Any]) -> bool:
    """Whether what is held counts, and how long."""
    calculator = charge["calculator"]
    return bool(calculator.get("recurring")) or str(calculator.get("aggregation", "")).startswith("weighted")


def level(charge: Mapping[str, Any], calls: Sequence[Call], served: Served, zone: str) -> Fraction:
    """The mean of a level over a whole period, which is 0 outside the days that were served."""
    calculator = charge["calculator"]
    if calculator.get("recurring"):
        held = Fraction(0)
        for day in served.days:
            held += sum((call.value for call in calls if call.at < _midnight(day + DAY, zone)), Fraction(0))
        return held / served.period.days
    begins, ends = _midnight(served.days[0], zone), _midnight(served.days[-1] + DAY, zone)
    now, since, held = Fraction(0), begins, Fraction(0)
    for call in calls:
        if call.at >= ends:
            break
        if call.at > begins:
            held += now * _length(since, call.at)
            since = call.at
        now = call.value if calculator["aggregation"] == "weighted_mean" else now + call.value
    held += now * _length(since, ends)
    return held / _length(_midnight(served.period.first, zone), _midnight(served.period.end, zone))


def _length(start: datetime, end: datetime) -> Fraction:
    between = end - start
    return Fraction(between.days * 86_400_000_000 + between.seconds * 1_000_000 + between.microseconds)


def _midnight(day: date, zone: str) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
