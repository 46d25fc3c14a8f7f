"""What schedules are worth: measured inputs through the pure core, the same input valued once."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple, assert_never, cast

from billing.closing.measure import Inputs
from billing.closing.pools import PoolWorth, period_of, value_of_pool
from billing.core.adjustments import LAST
from billing.core.charges import Charge, Commitment, Event, OneTime, Periodic, Recurring, Usage, rules_of
from billing.core.errors import Invalid
from billing.core.measured import NO_EVENTS, Measured, counted_events
from billing.core.money import exact_sum
from billing.core.periods import DAY
from billing.core.pools import uncovered
from billing.core.prices import NO_CONTEXT, Component, Context
from billing.core.prices import worth as total
from billing.core.prices.component import GIVEN, priced
from billing.core.properties import property_text
from billing.core.usage import MetricKind, UsageTotals, measure
from billing.core.valuing import NOTHING, number_of, served_part, value, value_fee
from billing.extension import installed
from storage.due import ScheduleToValue
from storage.tables import Metric


class Worth(NamedTuple):
    """What a schedule is worth now, in the order that a line needs it."""

    schedule: ScheduleToValue
    quantity: Fraction
    components: tuple[Component, ...]
    amount: Fraction
    pool: PoolWorth | None = None


Value = tuple[Fraction, tuple[Component, ...], Fraction]
"""Quantity, components, and the amount that they add up to."""
Input = tuple[object, ...]
"""All that the value of a schedule depends on: schedules with the same input are valued once."""


def value_schedules(
    schedules: Sequence[ScheduleToValue],
    inputs: Inputs,
    charges: Mapping[int, tuple[int, Charge]],
    metrics: Mapping[int, Metric],
) -> list[Worth]:
    """The worth of each schedule, in their order; a void one is worth nothing.

    None is worth less than gestures gave back of it: an invoice and its credit notes never add up below zero.
    """
    if inputs.counted:
        worths = _with_commitments(schedules, inputs, charges, metrics)
    else:
        worths = _valued(schedules, inputs, charges, metrics)
    if not inputs.given:
        return worths
    return [_at_least(worth, inputs.given.get(worth.schedule.id, Fraction(0))) for worth in worths]


def _at_least(worth: Worth, given: Fraction) -> Worth:
    if given <= worth.amount:
        return worth
    more = priced(name=GIVEN, position=LAST + 9, quantity=given - worth.amount, unit_price=Fraction(1))
    return worth._replace(components=worth.components + more, amount=given)


def _valued(
    schedules: Sequence[ScheduleToValue],
    inputs: Inputs,
    charges: Mapping[int, tuple[int, Charge]],
    metrics: Mapping[int, Metric],
) -> list[Worth]:
    known: dict[Input, Value] = {}
    worths: list[Worth] = []
    for schedule in schedules:
        if schedule.id in inputs.pools:
            worths.append(_pooled(schedule, charges[schedule.charge_id][1], inputs, metrics))
            continue
        key = _input(schedule, inputs, charges[schedule.charge_id][1])
        found = known.get(key)
        if found is None:
            quantity, components = _named_value(schedule, charges[schedule.charge_id][1], inputs, metrics)
            found = known[key] = (quantity, components, total(components))
        worths.append(Worth(schedule, *found))
    return worths


def _with_commitments(
    schedules: Sequence[ScheduleToValue],
    inputs: Inputs,
    charges: Mapping[int, tuple[int, Charge]],
    metrics: Mapping[int, Metric],
) -> list[Worth]:
    """Commitments after all others: over what those are worth now, and over what was stored of the rest."""
    others = [schedule for schedule in schedules if schedule.id not in inputs.counted]
    found = {it.schedule.id: it for it in value_schedules(others, replace(inputs, counted={}), charges, metrics)}
    for schedule in schedules:
        if schedule.id in inputs.counted:
            counted = inputs.counted[schedule.id]
            amounts = [found[it.id].amount if it.id in found else it.amount for it in counted]
            found[schedule.id] = _missing(schedule, charges[schedule.charge_id][1], inputs, exact_sum(amounts))
    return [found[schedule.id] for schedule in schedules]


def _missing(schedule: ScheduleToValue, charge: Charge, inputs: Inputs, counted: Fraction) -> Worth:
    """What is missing of a commitment, exactly."""
    if schedule.void:
        return Worth(schedule, Fraction(0), (), Fraction(0))
    period, pool = period_of(schedule), inputs.pools.get(schedule.id)
    prorate = charge.prorate if isinstance(charge, Periodic) else "none"
    part = served_part(prorate, period, inputs.zone, () if pool is None else uncovered(period, pool.spans))
    components = value(charge, part=part, measured=Measured(quantity=counted))
    return Worth(schedule, total(components), components, total(components))


def _pooled(schedule: ScheduleToValue, charge: Charge, inputs: Inputs, metrics: Mapping[int, Metric]) -> Worth:
    def used(member: ScheduleToValue) -> Measured:
        if isinstance(charge, Usage):
            return _measured(member, charge, inputs, metrics)
        return inputs.records.get(member.id, NO_EVENTS)

    with _named(schedule, charge):
        worth = value_of_pool(inputs.pools[schedule.id], charge, inputs.zone, used)
    return Worth(schedule, worth.quantity, worth.components, total(worth.components), worth)


def _input(schedule: ScheduleToValue, inputs: Inputs, charge: Charge) -> Input:
    if schedule.void:
        return (None,)
    days: Input = (schedule.starts_on, schedule.ends_on, schedule.nominal_starts_on, schedule.nominal_ends_on)
    if charge.discount is not None and charge.discount.periods is not None:
        days = (*days, _number(schedule, charge))
    if rules_of(charge):
        days = (*days, _number(schedule, charge), *sorted(_attributes(schedule).items()))
    if isinstance(charge, Event):
        return (schedule.charge_id, *days, inputs.events.get(schedule.id, 0))
    if schedule.metric_id is None:
        return (schedule.charge_id, *days, *inputs.suspensions.get(schedule.contract_item_id or 0, ()))
    if schedule.id in inputs.records:
        return (schedule.charge_id, *days, inputs.records[schedule.id])
    return (schedule.charge_id, *days, inputs.totals.get(schedule.id), *inputs.registers.ends(schedule))


def _named_value(
    schedule: ScheduleToValue, charge: Charge, inputs: Inputs, metrics: Mapping[int, Metric]
) -> tuple[Fraction, tuple[Component, ...]]:
    with _named(schedule, charge):
        return _value(schedule, charge, inputs, metrics)


@contextmanager
def _named(schedule: ScheduleToValue, charge: Charge) -> Iterator[None]:
    """What cannot be valued is said of the schedule that it is: its object, charge and period."""
    try:
        yield
    except Invalid as error:
        last = schedule.ends_on - DAY
        who = schedule.reference or schedule.subscription
        message = f"{who}, {charge.name}, {schedule.starts_on} to {last}: {error.message}"
        raise Invalid(message, code=error.code) from error


def _value(
    schedule: ScheduleToValue, charge: Charge, inputs: Inputs, metrics: Mapping[int, Metric]
) -> tuple[Fraction, tuple[Component, ...]]:
    if schedule.void:
        return Fraction(0), ()
    match charge:
        case Usage():
            return _usage(schedule, charge, inputs, metrics)
        case Recurring():
            return _fee(schedule, charge, inputs)
        case OneTime():
            return Fraction(1), value(charge, part=Fraction(1))
        case Event():
            return _event(schedule, charge, inputs)
        case Commitment():
            raise AssertionError(f"the commitment {schedule.id} is valued after what it counts")
        case _:
            assert_never(charge)


def _usage(
    schedule: ScheduleToValue, charge: Usage, inputs: Inputs, metrics: Mapping[int, Metric]
) -> tuple[Fraction, tuple[Component, ...]]:
    usage = _measured(schedule, charge, inputs, metrics)
    return usage.quantity, _priced(schedule, charge, inputs, usage)


def _measured(schedule: ScheduleToValue, charge: Usage, inputs: Inputs, metrics: Mapping[int, Metric]) -> Measured:
    if charge.calculator.reads_records():
        return inputs.records.get(schedule.id, NOTHING)
    metric = metrics[cast("int", schedule.metric_id)]
    found = inputs.totals.get(schedule.id)
    opening, closing_value = inputs.registers.ends(schedule)
    return measure(
        aggregation=charge.calculator.aggregation,
        metric_kind=cast("MetricKind", metric.kind),
        decimals=metric.decimals,
        totals=UsageTotals()
        if found is None
        else UsageTotals(count=found.records, sum=found.total, max=found.top, latest=found.last),
        opening=opening,
        closing=closing_value,
    )


def _priced(
    schedule: ScheduleToValue, charge: Usage | Event, inputs: Inputs, measured: Measured
) -> tuple[Component, ...]:
    own = rules_of(charge)
    part = served_part(charge.prorate, period_of(schedule), inputs.zone) if charge.adjusted or own else Fraction(1)
    number, context = _number(schedule, charge), NO_CONTEXT
    if own:
        context = Context(
            part=part,
            days=(schedule.ends_on - schedule.starts_on).days,
            number=number,
            attributes=_attributes(schedule),
            calculators=installed(),
        )
    return value(charge, part=part, measured=measured, number=number, context=context)


def _attributes(schedule: ScheduleToValue) -> dict[str, str]:
    return {name: property_text(value) for name, value in schedule.attributes.items() if value is not None}


def _event(schedule: ScheduleToValue, charge: Event, inputs: Inputs) -> tuple[Fraction, tuple[Component, ...]]:
    measured = counted_events(inputs.events.get(schedule.id, 0))
    return measured.quantity, _priced(schedule, charge, inputs, measured)


def _fee(schedule: ScheduleToValue, charge: Recurring, inputs: Inputs) -> tuple[Fraction, tuple[Component, ...]]:
    item = cast("int", schedule.contract_item_id)
    spans, number = inputs.suspensions.get(item, []), _number(schedule, charge)
    components = value_fee(charge, period_of(schedule), inputs.zone, spans, number=number)
    return sum((component.quantity for component in components if component.name == "Fee"), Fraction(0)), components


def _number(schedule: ScheduleToValue, charge: Charge) -> int:
    return 1 if schedule.line_starts_on is None else number_of(charge, period_of(schedule), schedule.line_starts_on)
