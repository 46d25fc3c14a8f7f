"""A fleet's schedules of what adds up and costs so much a unit, valued as columns: nothing is made of each of them.

The law: what is on the lines and in the rows is what valuing the schedules one by one gives.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from itertools import compress
from typing import NamedTuple

from billing.closing.headings import Headings
from billing.closing.rows import Row, closed_status
from billing.core.charges import Charge
from billing.core.columns import texts
from billing.core.linebook import Entries, LineBook
from billing.core.prices.component import UNITS
from billing.core.quick import POSITION, PerUnitOfTotal, quick
from storage.due import ScheduleToValue
from storage.measuring import Measured
from storage.sets import batched
from storage.tables import OPEN_STATUSES, Metric

VALUED_AT_ONCE = 5000
"""Schedules whose columns are held at once: few beside what a line keeps of each."""
NOTHING = Measured(0, 0, 0)


class Alike(NamedTuple):
    """What schedules have in common that go to one line of one document."""

    part: str
    charge_id: int
    subscription: str
    nominal_starts_on: date
    nominal_ends_on: date
    status: str
    group: tuple[tuple[str, str], ...]


Fleet = Mapping[Alike, Sequence[ScheduleToValue]]


def short_ways(
    schedules: Sequence[ScheduleToValue],
    charges: Mapping[int, tuple[int, Charge]],
    metrics: Mapping[int, Metric],
) -> dict[int, PerUnitOfTotal]:
    """By charge id, the short way to the worth of its schedules; other charges have none."""
    found: dict[int, PerUnitOfTotal] = {}
    for charge_id, metric_id in {(schedule.charge_id, schedule.metric_id) for schedule in schedules}:
        metric = None if metric_id is None else metrics[metric_id]
        if metric is not None and (way := quick(charges[charge_id][1], metric.kind, metric.decimals)) is not None:
            found[charge_id] = way
    return found


def alike(
    headings: Headings,
    schedules: Sequence[ScheduleToValue],
    ways: Mapping[int, PerUnitOfTotal],
    apart: Collection[int],
) -> tuple[Fleet, list[ScheduleToValue]]:
    """The schedules that have a short way, by what they have in common, and the others.

    Those of which something was charged before, or which are otherwise `apart` (by id), are among the others.
    """
    fleet: dict[Alike, list[ScheduleToValue]] = defaultdict(list)
    others: list[ScheduleToValue] = []
    part_of = headings.contract.part_of
    for it in schedules:
        if it.charge_id not in ways or it.void or it.status not in OPEN_STATUSES or it.id in apart:
            others.append(it)
            continue
        key = Alike(
            part_of(it.attributes),
            it.charge_id,
            it.subscription,
            it.nominal_starts_on,
            it.nominal_ends_on,
            it.status,
            headings.group(it),
        )
        fleet[key].append(it)
    return fleet, others


def value_fleet(
    headings: Headings,
    fleet: Fleet,
    ways: Mapping[int, PerUnitOfTotal],
    totals: Mapping[int, Measured],
    books: Mapping[str, LineBook],
) -> Iterator[Row]:
    """Put what the schedules are worth on their lines, and give the row of each."""
    for key, members in fleet.items():
        for portion in batched(members, VALUED_AT_ONCE):
            yield from _value_portion(headings, key, portion, ways[key.charge_id], totals, books)


def _value_portion(
    headings: Headings,
    key: Alike,
    schedules: Sequence[ScheduleToValue],
    way: PerUnitOfTotal,
    totals: Mapping[int, Measured],
    books: Mapping[str, LineBook],
) -> Iterator[Row]:
    found = (totals.get(it.id, NOTHING) for it in schedules)
    used = [way.used(each.records, each.total) for each in found]
    worth = way.columns(used)
    if any(worth.amounts):
        books[key.part].extend(
            Entries(
                heading=headings.of(schedules[0], UNITS),
                name=UNITS,
                position=POSITION,
                unit_price=way.unit_price,
                schedules=list(compress((it.id for it in schedules), worth.amounts)),
                references=list(compress((it.reference for it in schedules), worth.amounts)),
                quantities=list(compress(worth.charged, worth.amounts)),
                quantity_scale=worth.charged_scale,
                amounts=list(compress(worth.amounts, worth.amounts)),
                amount_scale=worth.amount_scale,
            )
        )
    invoiced, settled = closed_status(key.status, invoiced=True), closed_status(key.status, invoiced=False)
    quantities, amounts = texts(used, way.scale), texts(worth.amounts, worth.amount_scale)
    for it, charged, quantity, amount in zip(schedules, worth.amounts, quantities, amounts, strict=True):
        yield (invoiced if charged else settled), quantity, amount, it.id
