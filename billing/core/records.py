"""From single usage records to what a period measured, for every aggregation; exact to the microsecond.

The law: a record on a boundary is in exactly one period (`[start, end)`), the order of the list is nothing, and a
level that was reached before the period is carried into it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, Literal, assert_never
from zoneinfo import ZoneInfo

from billing.core.calculators import Calculator
from billing.core.charges import Prorate
from billing.core.errors import Invalid
from billing.core.measured import Measured, Moment
from billing.core.properties import property_text

MICROSECOND = timedelta(microseconds=1)
BANDWIDTH_PERCENTILE = Fraction(95)
"""The convention of bandwidth bills: the highest 5 % of the samples are not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One usage record: when, how much (in the metric's unit), and what else it says."""

    at: datetime
    value: Fraction
    properties: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The service `[start, end)` inside the whole period `[nominal_start, nominal_end)`, in the contract's zone."""

    start: datetime
    end: datetime
    nominal_start: datetime
    nominal_end: datetime
    zone: ZoneInfo

    def seconds(self, since: datetime, until: datetime) -> Fraction:
        """What the time between two instants is of the whole period, by its real length."""
        return Fraction(_micros(since, until), _micros(self.nominal_start, self.nominal_end))

    def days(self, since: datetime, until: datetime) -> Fraction:
        """What the local days from `since` to the last one before `until` are of the whole period's days."""
        return Fraction(self.day(until) - self.day(since), self.whole_days)

    @property
    def whole_days(self) -> int:
        """Local days of the whole period."""
        return self.day(self.nominal_end) - self.day(self.nominal_start)

    def day(self, instant: datetime) -> int:
        """The local day of an instant, as a number."""
        return instant.astimezone(self.zone).toordinal()


def _micros(since: datetime, until: datetime) -> int:
    """Real microseconds: between two times of one zone Python counts those of the clock on the wall."""
    return (until.astimezone(UTC) - since.astimezone(UTC)) // MICROSECOND


def measure_records(
    calculator: Calculator,
    records: Iterable[Record],
    window: Window,
    *,
    prorate: Prorate = "day",
    owner: str | None = None,
) -> Measured:
    """What the calculator measures of all records (in any order), those before the window for what they carry in.

    `prorate` says how a level or a recurring quantity that holds for a part of the whole period counts. With an `owner`
    the values have their moments, which name it. Raises Invalid for a record of which the calculator needs what it does
    not have.
    """
    taken = sorted(
        (
            it
            for it in records
            if it.at < window.end and (calculator.filter is None or calculator.filter.takes(it.properties))
        ),
        key=lambda it: (it.at, it.id),
    )
    if calculator.convert is not None and calculator.converts_records():
        taken = [replace(it, value=calculator.convert.apply_to_record(it.value)) for it in taken]
    whole = _measure(calculator, taken, window, prorate, owner)
    if calculator.by is None:
        return whole
    groups: dict[str, list[Record]] = {}
    for record in taken:
        groups.setdefault(property_text(record.properties.get(calculator.by)), []).append(record)
    parts = tuple((name, _measure(calculator, groups[name], window, prorate, owner)) for name in sorted(groups))
    return replace(whole, parts=parts)


def _measure(
    calculator: Calculator, taken: Sequence[Record], window: Window, prorate: Prorate, owner: str | None
) -> Measured:
    before = [record for record in taken if record.at < window.start]
    inside = [record for record in taken if record.at >= window.start]
    values = tuple(record.value for record in inside)
    name = calculator.property or ""
    match calculator.aggregation:
        case "sum" if calculator.recurring:
            quantity = recurring_sum(before, inside, window, prorate)
        case "unique_count" if calculator.recurring:
            quantity = recurring_unique_count(name, before, inside, window, prorate)
        case "unique_count":
            quantity = Fraction(len({value for it in inside if (value := _value_of(name, it)) is not None}))
        case "weighted_sum":
            quantity = weighted(_levels(before, inside), window, prorate)
        case "weighted_mean":
            carried = before[-1].value if before else Fraction(0)
            quantity = weighted([(None, carried), *((it.at, it.value) for it in inside)], window, prorate)
        case "percentile":
            quantity = percentile(values, calculator.percentile or BANDWIDTH_PERCENTILE)
        case "sum" | "count" | "max" | "min" | "mean" | "latest" as plain:
            quantity = PLAIN[plain](values) if values else Fraction(0)
        case _:
            assert_never(calculator.aggregation)
    moments = () if owner is None else tuple(Moment(record.at, owner, record.id) for record in inside)
    return Measured(quantity=quantity, count=len(values), values=values, moments=moments)


Plain = Literal["sum", "count", "max", "min", "mean", "latest"]
PLAIN: Mapping[Plain, Callable[[Sequence[Fraction]], Fraction]] = {
    "sum": lambda values: sum(values, Fraction(0)),
    "count": lambda values: Fraction(len(values)),
    "max": max,
    "min": min,
    "mean": lambda values: sum(values, Fraction(0)) / len(values),
    "latest": lambda values: max(values[-1], Fraction(0)),
}
"""What needs no more than the values of at least one record, in time order. A negative latest value is 0."""


def percentile(values: Sequence[Fraction], percent: Fraction) -> Fraction:
    """The value of the nearest rank: at least `percent` percent of the samples are no higher; 0 without samples."""
    if not values:
        return Fraction(0)
    place = len(values) * percent / 100
    return sorted(values)[-(-place.numerator // place.denominator) - 1]


def weighted(levels: Sequence[tuple[datetime | None, Fraction]], window: Window, prorate: Prorate) -> Fraction:
    """The mean of a level over the whole period, each level weighted by the real time that it held.

    `levels` are (since, level) in time order, the first one since the beginning (None). Time outside the service
    counts as level 0, unless the charge is not prorated (`none`): then the mean is that of the time served.
    """
    total = Fraction(0)
    for n, (since, level) in enumerate(levels):
        until = levels[n + 1][0] if n + 1 < len(levels) else window.end
        total += level * window.seconds(since or window.start, until or window.end)
    if prorate == "none":
        return total / window.seconds(window.start, window.end)
    return total


def _levels(before: Sequence[Record], inside: Sequence[Record]) -> list[tuple[datetime | None, Fraction]]:
    """The running sum of changes."""
    levels: list[tuple[datetime | None, Fraction]] = [(None, sum((it.value for it in before), Fraction(0)))]
    for record in inside:
        levels.append((record.at, levels[-1][1] + record.value))
    return levels


def recurring_sum(before: Sequence[Record], inside: Sequence[Record], window: Window, prorate: Prorate) -> Fraction:
    """What is held, as changes add up to it: each change counts from its local day on, that day included."""
    total = sum((it.value for it in before), Fraction(0)) * held(window, window.start, window.end, prorate)
    return total + sum((it.value * held(window, it.at, window.end, prorate) for it in inside), Fraction(0))


def recurring_unique_count(
    name: str, before: Sequence[Record], inside: Sequence[Record], window: Window, prorate: Prorate
) -> Fraction:
    """How many values of a property were present, each for the days that it was.

    A record adds its value; one with a quantity of 0 or less takes it away again. The day of either counts.
    """
    since: dict[str, datetime] = {}
    for record in before:
        value = _value_of(name, record)
        if value is None:
            continue
        if record.value > 0:
            since[value] = window.start
        else:
            since.pop(value, None)
    spans: dict[str, list[tuple[datetime, datetime]]] = {value: [] for value in since}
    for record in inside:
        value = _value_of(name, record)
        if value is None:
            continue
        if record.value > 0:
            since.setdefault(value, record.at)
        elif value in since:
            spans.setdefault(value, []).append((since.pop(value), record.at))
    for value, start in since.items():
        spans.setdefault(value, []).append((start, window.end))
    return sum((_present(window, found, prorate) for found in spans.values()), Fraction(0))


def _present(window: Window, spans: Sequence[tuple[datetime, datetime]], prorate: Prorate) -> Fraction:
    """The part of the whole period that one value was present, no day counted twice."""
    if prorate in {"none", "full"}:
        return Fraction(1 if spans else 0)
    if prorate == "second":
        return sum((window.seconds(start, end) for start, end in spans), Fraction(0))
    days: set[int] = set()
    last = window.day(window.end)
    for start, end in spans:
        first, final = window.day(start), window.day(end)
        days.update(range(first, min(final + 1, last) if end < window.end else last))
    return Fraction(len(days), window.whole_days)


def held(window: Window, since: datetime, until: datetime, prorate: Prorate) -> Fraction:
    """What holding something from one instant to another is of the whole period."""
    match prorate:
        case "day":
            return window.days(since, until)
        case "second":
            return window.seconds(since, until)
        case "none" | "full":
            return Fraction(1)
        case _:
            assert_never(prorate)


def _value_of(name: str, record: Record) -> str | None:
    value = record.properties.get(name)
    return None if value is None else property_text(value)


def once(records: Iterable[Record]) -> list[Record]:
    """The records with each id once; raises Invalid for an id that comes back with another time, value or property."""
    seen: dict[str, Record] = {}
    kept = []
    for record in records:
        if not record.id or record.id not in seen:
            kept.append(record)
        elif seen[record.id] != record:
            raise Invalid(f"id {record.id!r} stands twice with different content; give each event an id of its own")
        seen[record.id] = record
    return kept
