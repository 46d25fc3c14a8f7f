"""The schedules of contract items: planned at 0 for every charge over the days of each item.

The law: together they tile the days they are planned for, and equal days on one plan version are planned once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import Session

from billing.core.charges import charge_from
from billing.core.periods import local_midnight
from billing.core.schedules import plan_schedules
from storage import catalogue as declared
from storage import items
from storage.tables import Charge

SCHEDULE_ROWS = 10_000
"""Schedules in one statement, to bound the memory of a large activation."""
AT_ACTIVATION = {"one_time"}
"""Types of charge that only an activation owes, never what continues it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The days `[starts_on, ends_on)` of one contract item that are to have schedules."""

    object_id: int
    contract_id: int
    subscription_id: int
    plan_version_id: int
    timezone: str
    starts_on: date
    ends_on: date
    continues: bool = False
    """The contract has charged the service already: a renewal, another plan."""
    counted_from: date | None = None
    """Where the line began, from which trials and anniversaries are counted, when that was before `starts_on`."""
    start_at: datetime | None = None
    """The first instant, when it is not the midnight of the first day: where another zone's day ended."""


def write_schedules(session: Session, planned: Mapping[int, Planned]) -> None:
    """Write the schedules of items, by item id."""
    rows: list[dict[str, Any]] = []
    for of_item in _rows(session, planned):
        rows += of_item
        if len(rows) >= SCHEDULE_ROWS:
            items.add_schedules(session, _by_period(rows))
            rows = []
    items.add_schedules(session, _by_period(rows))


def go_on(session: Session, item_id: int, planned: Planned) -> None:
    """Write the schedules of the days that follow the end of an item whose term is longer now.

    A period that the end had cut goes on, so that it is priced once: a flat price is not owed twice in it, and tiers
    and included units do not begin again. What was charged of it is looked at again.
    """
    cut = {(it.charge_id, it.nominal_starts_on): it for it in items.cut_at(session, item_id, planned.starts_on)}
    (rows,) = _rows(session, {item_id: planned})
    fresh = []
    for row in rows:
        schedule = cut.get((row["charge_id"], row["nominal_starts_on"]))
        if schedule is None:
            fresh.append(row)
            continue
        schedule.ends_on, schedule.end_at = row["ends_on"], row["end_at"]
        if schedule.status in items.CHARGED:
            schedule.revalue = 1
        elif row["due_on"] >= planned.starts_on:  # in arrears; in advance it is due when it always was
            schedule.due_on = row["due_on"]
    session.flush()
    items.add_schedules(session, _by_period(fresh))


def _rows(session: Session, planned: Mapping[int, Planned]) -> Iterator[list[dict[str, Any]]]:
    """The columns of each item's schedules."""
    charges = declared.charges(session, {each.plan_version_id for each in planned.values()})
    templates: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for item_id, each in planned.items():
        shape = (
            *(each.plan_version_id, each.starts_on, each.ends_on, each.timezone),
            *(each.continues, each.counted_from, each.start_at),
        )
        if shape not in templates:
            templates[shape] = _template(charges[each.plan_version_id], each)
        place = {
            "contract_id": each.contract_id,
            "subscription_id": each.subscription_id,
            "contract_item_id": item_id,
            "object_id": each.object_id,
        }
        yield [{**template, **place} for template in templates[shape]]


def _by_period(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The schedules of one period together: a close reads and writes a month's, of a fleet the twelfth part of all."""
    return sorted(rows, key=itemgetter("starts_on"))


def _template(declared_charges: Sequence[Charge], planned: Planned) -> list[dict[str, Any]]:
    zone = ZoneInfo(planned.timezone)
    charges = [
        each
        for each in declared_charges
        if each.scope == "item" and not (planned.counted_from and each.type in AT_ACTIVATION)
    ]
    plan = plan_schedules(
        [charge_from(charge.definition) for charge in charges],
        planned.starts_on,
        planned.ends_on,
        continues=planned.continues,
        counted_from=planned.counted_from,
    )
    return [
        {
            "charge_id": charges[schedule.charge_position].id,
            "metric_id": charges[schedule.charge_position].metric_id,
            "starts_on": schedule.period.starts_on,
            "ends_on": schedule.period.ends_on,
            "nominal_starts_on": schedule.period.nominal_starts_on,
            "nominal_ends_on": schedule.period.nominal_ends_on,
            "start_at": planned.start_at
            if planned.start_at and schedule.period.starts_on == planned.starts_on
            else local_midnight(schedule.period.starts_on, zone),
            "end_at": local_midnight(schedule.period.ends_on, zone),
            "due_on": schedule.due_on,
            "status": "planned",
            "revalue": 0,
            "quantity": 0,
            "amount": 0,
        }
        for schedule in plan
    ]
