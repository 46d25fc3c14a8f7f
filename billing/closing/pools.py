"""The pools of a close: each schedule of a pool as the parts of its items, which are measured like schedules.

The law: an item's usage counts in its pool from the first to the last instant that it is there, once; what a pool puts
on a line is spread over its objects by what each used, and adds up to the line.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from itertools import count
from types import MappingProxyType
from typing import NamedTuple
from zoneinfo import ZoneInfo

from billing.closing.reader import MonthReader
from billing.core import measured as core
from billing.core.charges import Charge, Event, OneTime, Periodic, Usage
from billing.core.invoicing import InvoiceDraft
from billing.core.linebook import Line
from billing.core.money import exact_sum, minor_digits
from billing.core.periods import Period, local_midnight
from billing.core.pools import (
    NO_VALUES,
    Alike,
    Part,
    disjoint,
    number_in_pool,
    parts_of_pool,
    spread_parts,
    together,
    uncovered,
    value_pool,
)
from billing.core.prices import Component, Context
from billing.core.sharing import own_events
from billing.core.valuing import served_part
from billing.extension import installed
from storage import pools
from storage.closing import ContractToClose
from storage.due import ScheduleToValue
from storage.pools import ItemInPools, ObjectPart
from storage.types import to_micros


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A schedule of a pool with its items: `members` are their parts of its period, as schedules of their own.

    An object that is in it with two items at once is a member once, so that its usage counts once.
    """

    schedule: ScheduleToValue
    members: tuple[ScheduleToValue, ...]
    spans: tuple[tuple[date, date], ...]
    """The days of each item."""
    number: int


NO_POOLS: Mapping[int, Pool] = MappingProxyType({})


class PoolWorth(NamedTuple):
    """What a pool is worth, and what each of its objects used."""

    quantity: Fraction
    components: tuple[Component, ...]
    used: Mapping[str, Fraction]
    """By the object's reference."""
    by_value: Mapping[str, Mapping[str, Fraction]] = NO_VALUES
    """The same for each value of a breakdown, by the name of its lines; only objects that used it."""
    own: Mapping[str, Mapping[str, Fraction]] = NO_VALUES
    """What objects have of a line for their own events, by its name, where the price says so."""


def find_pools(reader: MonthReader, contract: ContractToClose, schedules: Sequence[ScheduleToValue]) -> dict[int, Pool]:
    """The pools among the schedules of a contract, by schedule id; their members have ids below zero."""
    pooled = [it for it in schedules if it.contract_item_id is None]
    if not pooled:
        return {}
    charges, items = reader.pool_charges, pools.items(reader.session, contract.id)
    zone, ids = ZoneInfo(contract.timezone), count(-1, -1)
    found = {}
    for schedule in pooled:
        charge = charges[schedule.charge_id]
        there = [
            (item, span)
            for item in items
            if charge.takes(schedule.subscription_id or 0, item.subscription_id, item.plan_version_id)
            and (span := charge.days(item))
        ]
        inside = [
            (item, (max(span[0], schedule.nominal_starts_on), min(span[1], schedule.nominal_ends_on)))
            for item, span in there
            if span[0] < schedule.nominal_ends_on and schedule.nominal_starts_on < span[1]
        ]
        first_on = min((span[0] for _, span in there), default=schedule.starts_on)
        once = disjoint((item.reference, span) for item, span in inside)
        found[schedule.id] = Pool(
            schedule=schedule,
            members=tuple(
                _member(schedule, item, span, zone, next(ids))
                for (item, _), span in zip(inside, once, strict=True)
                if span is not None
            ),
            spans=tuple(span for _, span in inside),
            number=number_in_pool(
                charge.charge, period_of(schedule), first_on=first_on, anchor_on=min(contract.starts_on, first_on)
            ),
        )
    return found


def _member(
    schedule: ScheduleToValue, item: ItemInPools, span: tuple[date, date], zone: ZoneInfo, identity: int
) -> ScheduleToValue:
    """An item's part of a pool; its own first and last instants where it begins or ends inside the period."""
    start_at = item.start_at if span[0] == item.starts_on else local_midnight(span[0], zone)
    end_at = item.end_at if span[1] == item.ends_on else local_midnight(span[1], zone)
    return schedule._replace(
        id=identity,
        contract_item_id=item.id,
        object_id=item.object_id,
        reference=item.reference,
        starts_on=span[0],
        ends_on=span[1],
        start_at=to_micros(start_at),
        end_at=to_micros(end_at),
        line_starts_on=item.line_starts_on,
        item_ends_on=item.ends_on,
    )


def value_of_pool(
    pool: Pool, charge: Charge, zone: ZoneInfo, used: Callable[[ScheduleToValue], core.Measured]
) -> PoolWorth:
    """The worth of a pool; `used` says what was measured for a member. A fee has no objects."""
    if pool.schedule.void:
        return PoolWorth(Fraction(0), (), {})
    period = period_of(pool.schedule)
    prorate = charge.prorate if isinstance(charge, Periodic) else "none"
    part = served_part(prorate, period, zone, uncovered(period, pool.spans))
    if not isinstance(charge, Usage | Event):
        components = value_pool(
            charge, part=part, measured=core.Measured(quantity=part), items=part, number=pool.number
        )
        fee = (it.quantity for it in components if it.name == "Fee")
        return PoolWorth(Fraction(1) if isinstance(charge, OneTime) else sum(fee, Fraction(0)), components, {})
    by_object: dict[str, list[core.Measured]] = defaultdict(list)
    for member in pool.members:
        by_object[member.reference].append(used(member))
    uses = {reference: together(found) for reference, found in by_object.items()}
    measured = together(uses.values())
    parts = [served_part(prorate, replace(period, starts_on=a, ends_on=b), zone) for a, b in pool.spans]
    items = exact_sum(parts) if parts else Fraction(0)
    days = period.days - sum((end - start).days for start, end in uncovered(period, pool.spans))
    context = Context(part=part, days=days, number=pool.number, calculators=installed())
    components = value_pool(charge, part=part, measured=measured, items=items, number=pool.number, context=context)
    used_by = {reference: use.quantity for reference, use in uses.items()}
    own = own_events(charge, measured, uses)
    return PoolWorth(measured.quantity, components, used_by, _by_value(charge, uses), own)


def _by_value(charge: Charge, uses: Mapping[str, core.Measured]) -> Mapping[str, Mapping[str, Fraction]]:
    if not isinstance(charge, Usage) or charge.calculator.by is None:
        return NO_VALUES
    found: dict[str, dict[str, Fraction]] = defaultdict(dict)
    for reference, use in uses.items():
        for value, part in use.parts:
            found[charge.calculator.part_name(value)][reference] = part.quantity
    return found


def shares_of_objects(
    reader: MonthReader, draft: InvoiceDraft | None, worths: Mapping[int, PoolWorth], currency: str
) -> dict[int, list[ObjectPart]]:
    """By the place of a line, what the objects of pools have of it; fees and lines without pools have none."""
    if draft is None or not worths:
        return {}
    before, objects = _charged(reader, worths)
    objects.update(pools.objects(reader.session, {ref for worth in worths.values() for ref in worth.used}))
    parts = {
        schedule_id: parts_of_pool(worth.components, worth.used, before.get(schedule_id, {}), worth.by_value, worth.own)
        for schedule_id, worth in worths.items()
    }
    scale, sign = 10 ** minor_digits(currency), -1 if draft.kind == "credit_note" else 1
    found: dict[int, list[ObjectPart]] = {}
    for place, line in enumerate(draft.lines):
        rows = [row for each in _shares(line, parts, scale, sign) for row in _rows(each, objects, sign)]
        if rows:
            found[place] = rows
    return found


def _charged(
    reader: MonthReader, worths: Iterable[int]
) -> tuple[dict[int, dict[Alike, dict[str, Part]]], dict[str, int]]:
    before: dict[int, dict[Alike, dict[str, Part]]] = {}
    objects: dict[str, int] = {}
    for row in pools.object_charged(reader.session, worths):
        objects[row.reference] = row.object_id
        parts = before.setdefault(row.schedule_id, {}).setdefault((row.component, row.unit_price), {})
        was = parts.get(row.reference, Part(Fraction(0), Fraction(0)))
        parts[row.reference] = Part(was.quantity + row.quantity, was.amount + row.amount)
    return before, objects


Spread = tuple[int, Mapping[str, Part], Mapping[str, int]]


def _shares(
    line: Line, parts: Mapping[int, Mapping[Alike, Mapping[str, Part]]], scale: int, sign: int
) -> Iterable[Spread]:
    for share in line.shares:
        of_line = parts.get(share.schedule_id, {}).get((line.component, line.unit_price), {})
        if of_line:
            yield share.schedule_id, of_line, spread_parts(sign * share.share_minor, of_line, scale)


def _rows(spread: Spread, objects: Mapping[str, int], sign: int) -> Iterable[ObjectPart]:
    schedule_id, parts, minors = spread
    for reference, part in parts.items():
        quantity, amount = str(sign * part.quantity), str(sign * part.amount)
        yield schedule_id, objects[reference], quantity, amount, sign * minors[reference]


def period_of(schedule: ScheduleToValue) -> Period:
    """The days of a schedule, and of the whole period that it is a part of."""
    return Period(
        starts_on=schedule.starts_on,
        ends_on=schedule.ends_on,
        nominal_starts_on=schedule.nominal_starts_on,
        nominal_ends_on=schedule.nominal_ends_on,
    )
