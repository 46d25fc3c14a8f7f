"""The invoicing schedules of a contract item, planned for its whole term when it is activated."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from billing.core.charges import Charge, OneTime
from billing.core.periods import DAY, Anchor, Period, tile


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSchedule:
    """One charge over one period; `charge_position` is its place, from 0, in the charges that were planned."""

    charge_position: int
    period: Period
    due_on: date


def plan_schedules(
    charges: Sequence[Charge],
    starts_on: date,
    ends_on: date,
    anchor: Anchor = "calendar",
    *,
    continues: bool = False,
    counted_from: date | None = None,
) -> tuple[PlannedSchedule, ...]:
    """The schedules of every charge over the local days `[starts_on, ends_on)`, charge by charge in time order.

    In arrears a period is due on its own last day; in advance on the day before it begins, and the first on its
    first day, so that it goes on the invoice of the activation month; what `continues` a service that runs already
    (a renewal, another plan) has no such first period. `counted_from` is the day from which trials and anniversaries
    are counted, when the service began before these days. A one-time charge is one day long, the first.
    The days of a charge's trial have no schedule; periods are cut as without it. Raises Invalid for an empty or
    endless term.
    """
    planned = []
    for position, charge in enumerate(charges):
        for number, period in enumerate(_periods(charge, starts_on, ends_on, anchor, counted_from or starts_on)):
            due_on = _due_on(charge, period, first=number == 0 and not continues)
            planned.append(PlannedSchedule(charge_position=position, period=period, due_on=due_on))
    return tuple(planned)


def _periods(charge: Charge, starts_on: date, ends_on: date, anchor: Anchor, counted_from: date) -> Iterator[Period]:
    if isinstance(charge, OneTime):
        yield Period(
            starts_on=starts_on,
            ends_on=starts_on + DAY,
            nominal_starts_on=starts_on,
            nominal_ends_on=starts_on + DAY,
        )
        return
    charged_from = max(starts_on, counted_from + charge.trial_days * DAY)
    for period in tile(counted_from, ends_on, charge.every, charge.anchor or anchor):
        if period.ends_on > charged_from:
            yield replace(period, starts_on=max(period.starts_on, charged_from))


def _due_on(charge: Charge, period: Period, *, first: bool) -> date:
    match charge.timing:
        case "arrears":
            return period.ends_on - DAY
        case "advance":
            return period.starts_on if first else period.starts_on - DAY
