"""Pools: charges that a subscription or a contract has as a whole; their days, their worth, and the objects' shares.

The law: a pool lives on the days on which it has an item; it is priced once, on the usage of all its items, and the
objects' shares add up to its amount, exact and rounded. A share is not a price.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from operator import itemgetter
from types import MappingProxyType
from typing import NamedTuple

from billing.core.charges import Charge, OneTime, Usage
from billing.core.measured import Measured
from billing.core.money import exact_sum, spread
from billing.core.periods import DAY, Period, period_number, tile
from billing.core.prices import NO_CONTEXT, Component, Context
from billing.core.prices.component import DISCOUNT, MAXIMUM
from billing.core.valuing import value

Span = tuple[date, date]
"""Local days `[start, end)`."""
Alike = tuple[str, Fraction]
"""What makes components one line: their name and unit price."""


class Part(NamedTuple):
    """One object's part of a component, exact."""

    quantity: Fraction
    amount: Fraction


NO_VALUES: Mapping[str, Mapping[str, Fraction]] = MappingProxyType({})
NO_PART = Part(Fraction(0), Fraction(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledPeriod:
    """A period of a pool: the days from its first item's to its last item's, inside the whole one."""

    period: Period
    due_on: date


def united(spans: Iterable[Span]) -> list[Span]:
    """The days of any of the spans, as few spans in the order of time as there can be."""
    found: list[Span] = []
    for starts_on, ends_on in sorted(spans):
        if found and starts_on <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], ends_on))
        elif starts_on < ends_on:
            found.append((starts_on, ends_on))
    return found


def plan_pool(charge: Charge, spans: Iterable[Span], anchor_on: date) -> tuple[PooledPeriod, ...]:
    """The periods of a pooled charge whose items are there on the days of `spans`; none for days without any.

    An anniversary is the contract's, `anchor_on`. In arrears a period is due on the last day on which the pool has an
    item; in advance on the day before it begins, or on its first day where nothing came before it.
    """
    runs = united(spans)
    if not runs:
        return ()
    first, last = runs[0][0], runs[-1][1]
    if isinstance(charge, OneTime):
        day = Period(starts_on=first, ends_on=first + DAY, nominal_starts_on=first, nominal_ends_on=first + DAY)
        return (PooledPeriod(period=day, due_on=first),)
    anchor = charge.anchor or "calendar"
    whole = tile(first if anchor == "calendar" else min(anchor_on, first), last, charge.every, anchor)
    return tuple(_pooled(charge, it, runs) for it in whole if _inside(it, runs))


def _inside(period: Period, runs: Sequence[Span]) -> list[Span]:
    cut = ((max(a, period.nominal_starts_on), min(b, period.nominal_ends_on)) for a, b in runs)
    return [span for span in cut if span[0] < span[1]]


def _pooled(charge: Charge, whole: Period, runs: Sequence[Span]) -> PooledPeriod:
    inside = _inside(whole, runs)
    period = replace(whole, starts_on=inside[0][0], ends_on=inside[-1][1])
    if charge.timing == "arrears":
        return PooledPeriod(period=period, due_on=period.ends_on - DAY)
    goes_on = any(a < period.starts_on <= b for a, b in runs)
    return PooledPeriod(period=period, due_on=period.starts_on - DAY if goes_on else period.starts_on)


def uncovered(period: Period, spans: Iterable[Span]) -> list[Span]:
    """The days of a pool's period on which it has no item: nothing is owed for them."""
    found, reached = [], period.starts_on
    for starts_on, ends_on in united(spans):
        if reached < min(starts_on, period.ends_on):
            found.append((reached, min(starts_on, period.ends_on)))
        reached = max(reached, ends_on)
    if reached < period.ends_on:
        found.append((reached, period.ends_on))
    return found


def number_in_pool(charge: Charge, period: Period, *, first_on: date, anchor_on: date) -> int:
    """Which period of a pool it is, from 1 with the one of its first item's first day."""
    if isinstance(charge, OneTime):
        return 1
    anchor = charge.anchor or "calendar"
    numbers = [period_number(day, anchor_on, charge.every, anchor) for day in (period.nominal_starts_on, first_on)]
    return numbers[0] - numbers[1] + 1


def disjoint(spans: Iterable[tuple[str, Span]]) -> list[Span | None]:
    """The days of each item that no earlier one of the same object has: an object in a pool twice uses it once.

    Each with its object, in their order; None for an item whose days are all taken.
    """
    reached: dict[str, date] = {}
    spans = list(spans)
    found: list[Span | None] = [None] * len(spans)
    for place in sorted(range(len(spans)), key=lambda it: spans[it][1]):
        owner, (starts_on, ends_on) = spans[place]
        starts_on = max(starts_on, reached.get(owner, starts_on))
        if starts_on < ends_on:
            found[place], reached[owner] = (starts_on, ends_on), ends_on
    return found


def together(uses: Iterable[Measured]) -> Measured:
    """What all items of a pool measured: their quantities and events added up, value by value of a breakdown.

    Events that have their moments are put in the order of time, whose ever they are; at one instant by reference.
    """
    uses = list(uses)
    events = sorted(
        ((moment, value) for use in uses for moment, value in zip(use.moments, use.values or (), strict=False)),
        key=itemgetter(0),
    )
    parts: dict[str, list[Measured]] = {}
    for use in uses:
        for name, part in use.parts:
            parts.setdefault(name, []).append(part)
    return Measured(
        quantity=exact_sum(use.quantity for use in uses),
        count=sum(use.count for use in uses),
        values=tuple(value for _, value in events) if all(len(use.moments) == use.count for use in uses) else None,
        parts=tuple((name, together(found)) for name, found in sorted(parts.items())),
        moments=tuple(moment for moment, _ in events),
    )


def value_pool(
    charge: Charge,
    *,
    part: Fraction,
    measured: Measured,
    items: Fraction,
    number: int,
    context: Context = NO_CONTEXT,
) -> tuple[Component, ...]:
    """The components of one period of a pool.

    `items` is how many items were in it, each counted by its part of the whole period: with `limits` item the price is
    that of an average item, times the items, so that each brings its included units, its tiers and its minimum.
    """
    if not isinstance(charge, Usage) or charge.limits == "pool":
        return value(charge, part=part, measured=measured, number=number, context=context)
    if not items:
        return ()
    average = value(charge, part=Fraction(1), measured=_times(measured, 1 / items), number=number)
    return tuple(replace(it, quantity=it.quantity * items, amount=it.amount * items) for it in average)


def _times(measured: Measured, factor: Fraction) -> Measured:
    parts = tuple((name, _times(part, factor)) for name, part in measured.parts)
    return replace(measured, quantity=measured.quantity * factor, parts=parts)


def weights(used: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """Each object's part of a pool, by reference, adding up to 1: by what it used; usage below zero counts as none.

    Where nobody used anything (a minimum, a first tier's fee), all have a part alike.
    """
    quantities = {reference: max(quantity, Fraction(0)) for reference, quantity in used.items()}
    total = exact_sum(quantities.values()) if quantities else Fraction(0)
    if not total:
        return {reference: Fraction(1, len(quantities)) for reference in quantities}
    return {reference: quantity / total for reference, quantity in quantities.items()}


def of_own(own: Mapping[str, Mapping[str, Fraction]]) -> dict[str, dict[str, Fraction]]:
    """The parts, adding up to 1, of what objects have of lines for their own events; limits may have both signs."""
    totals = {name: exact_sum(found.values()) for name, found in own.items() if found}
    return {
        name: {reference: quantity / total for reference, quantity in own[name].items()}
        for name, total in totals.items()
        if total
    }


def parts_of_pool(
    components: Iterable[Component],
    used: Mapping[str, Fraction],
    before: Mapping[Alike, Mapping[str, Part]],
    by_value: Mapping[str, Mapping[str, Fraction]] = NO_VALUES,
    own: Mapping[str, Mapping[str, Fraction]] = NO_VALUES,
) -> dict[Alike, dict[str, Part]]:
    """Each object's part, by reference, of the difference that a pool puts on each line: now, minus all before.

    A line of one value of a breakdown is given to those who used that value: `by_value` has what each of them used of
    it, by the name of its lines. A line of `own` is given to each object for its own events, and what a discount or a
    maximum takes off by what each would pay without it. The parts of a line add up to it, exactly. An object that used
    more later has the difference alone, whatever the others had before. Parts that are nothing are left out.
    """
    of_each = weights(used)
    of_values = {name: weights(found) for name, found in by_value.items()} | of_own(own)
    found: dict[Alike, dict[str, Part]] = {
        alike: {reference: Part(-part.quantity, -part.amount) for reference, part in parts.items()}
        for alike, parts in before.items()
    }
    pays: dict[str, Fraction] = defaultdict(Fraction)
    for it in components:
        parts = found.setdefault((it.name, it.unit_price), {})
        value = it.name if it.name in of_values else it.name.rpartition(" / ")[0]
        taken_off = it.name in {DISCOUNT, MAXIMUM} and exact_sum(pays.values())
        of_line = weights(pays) if taken_off else of_values.get(value, of_each)
        for reference, weight in of_line.items():
            pays[reference] += weight * it.amount
            was = parts.get(reference, NO_PART)
            parts[reference] = Part(was.quantity + weight * it.quantity, was.amount + weight * it.amount)
    return {
        alike: {reference: part for reference, part in parts.items() if part != NO_PART}
        for alike, parts in found.items()
    }


def credited_parts(
    quantity: Fraction, amount: Fraction, net_minor: int, left: Mapping[str, tuple[Part, int]]
) -> dict[str, tuple[Part, int]]:
    """Each object's part of what is credited of a pool, in proportion to what is left of its own; all of all leaves 0.

    `left` is what earlier notes left of each object's part, with its minor units.
    """
    order = sorted(left)
    whole = Part(exact_sum(left[it][0].quantity for it in order), exact_sum(left[it][0].amount for it in order))
    minors = spread(net_minor, [Fraction(left[it][1]) for it in order])
    alike = Fraction(1, len(order)) if order else Fraction(0)
    return {
        it: (
            Part(
                quantity * (left[it][0].quantity / whole.quantity if whole.quantity else alike),
                amount * (left[it][0].amount / whole.amount if whole.amount else alike),
            ),
            minor,
        )
        for it, minor in zip(order, minors, strict=True)
    }


def spread_parts(net_minor: int, parts: Mapping[str, Part], scale: int) -> dict[str, int]:
    """The objects' shares of a pool's part of a rounded line, by largest remainder, ties by reference.

    `scale` is the number of minor units in a major one. Raises Invalid for an amount without objects.
    """
    order = sorted(parts)
    return dict(zip(order, spread(net_minor, [parts[reference].amount for reference in order], scale), strict=True))
