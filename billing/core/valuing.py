"""What one schedule is worth: a fee by its days, usage by its price; exact, nothing rounded."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from fractions import Fraction
from typing import TypeAlias, assert_never
from zoneinfo import ZoneInfo

from billing.core.adjustments import adjust
from billing.core.charges import Charge, Commitment, Event, OneTime, Prorate, Recurring, Usage
from billing.core.errors import Invalid
from billing.core.measured import Measured
from billing.core.periods import DAY, Anchor, Period, local_midnight, period_number
from billing.core.prices import NO_CONTEXT, Component, Context, priced, rate
from billing.core.prices.component import MINIMUM

SECOND = timedelta(seconds=1)
NOTHING = Measured(quantity=Fraction(0))


Suspensions: TypeAlias = Iterable[tuple[date, date | None]]
"""Local days `[start, end)`; an end of None is still open."""


def suspended_spans(period: Period, suspensions: Suspensions) -> Iterator[tuple[date, date]]:
    """The days `[start, end)` of the period that lie in any of the suspensions, none of them twice."""
    covered_until = period.starts_on
    for starts_on, ends_on in sorted(suspensions, key=lambda span: (span[0], span[1] or date.max)):
        begin = max(starts_on, covered_until)
        end = period.ends_on if ends_on is None else min(ends_on, period.ends_on)
        if begin < end:
            yield begin, end
            covered_until = end


def part_of(prorate: Prorate, served: int, whole: int) -> Fraction:
    """What `served` days (or seconds) out of the `whole` nominal ones count, as a part of a whole period.

    Raises Invalid when more was served than there is.
    """
    if not 0 <= served <= whole:
        raise Invalid(f"{served} of {whole} days do not fit the period")
    match prorate:
        case "day" | "second":
            return Fraction(served, whole)
        case "none":
            return Fraction(1 if served else 0)
        case "full":
            return Fraction(1 if served == whole else 0)
        case _:
            assert_never(prorate)


def served_part(prorate: Prorate, period: Period, zone: ZoneInfo, suspensions: Suspensions = ()) -> Fraction:
    """What a period outside its suspensions is of the whole one: by days, or by the real length of its local days."""
    spans = list(suspended_spans(period, suspensions))
    if prorate != "second":
        return part_of(prorate, period.days - sum((end - begin).days for begin, end in spans), period.nominal_days)

    def seconds(begin: date, end: date) -> int:
        return (local_midnight(end, zone) - local_midnight(begin, zone)) // SECOND

    served = seconds(period.starts_on, period.ends_on) - sum(seconds(begin, end) for begin, end in spans)
    return part_of(prorate, served, seconds(period.nominal_starts_on, period.nominal_ends_on))


def value(
    charge: Charge,
    *,
    part: Fraction,
    measured: Measured = NOTHING,
    number: int = 1,
    context: Context = NO_CONTEXT,
) -> tuple[Component, ...]:
    """The components of one period of a charge.

    `part` is what was served of the whole period, as the charge prorates it; `measured` is the usage, or the count of
    the events, and for a commitment what the charges that it counts are worth; `number` is which period of the service
    it is, from 1, for discounts of the first periods; `context` is what a rule may read.
    """
    match charge:
        case OneTime() | Recurring():
            components = priced(name="Fee", position=1, quantity=part, unit_price=charge.amount)
        case Usage():
            components = charge.calculator.value(measured, context)
        case Event():
            components = rate(charge.price, measured, context)
        case Commitment():
            missing = max(charge.amount * part - measured.quantity, Fraction(0))
            components = priced(name=MINIMUM, position=1, quantity=missing, unit_price=Fraction(1))
        case _:
            assert_never(charge)
    if not charge.adjusted:
        return components
    return adjust(components, charge.adjustments, part=part, number=number)


def number_of(charge: Charge, period: Period, starts_on: date, anchor: Anchor = "calendar") -> int:
    """Which period of a service that begins on `starts_on` it is, from 1 with the first one that is charged."""
    if isinstance(charge, OneTime):
        return 1
    cut = charge.anchor or anchor
    charged_from = starts_on + charge.trial_days * DAY
    served = period_number(period.nominal_starts_on, starts_on, charge.every, cut)
    return served - period_number(charged_from, starts_on, charge.every, cut) + 1


def value_fee(
    charge: Recurring, period: Period, zone: ZoneInfo, suspensions: Suspensions = (), *, number: int = 1
) -> tuple[Component, ...]:
    """The fee of one period: what was served of it, at the full price.

    Suspended days cost nothing, the same, or the reduced fee, as the charge says; without proration it is one whole
    fee, or, when every day was suspended, none or one whole reduced fee. `number` is which period of the service it is.
    """
    model = charge.while_suspended.model
    part = served_part(charge.prorate, period, zone, () if model == "charge" else suspensions)
    reduced = served_part(charge.prorate, period, zone) - part if model == "reduced" else Fraction(0)
    if not reduced:
        return value(charge, part=part, number=number)
    components = (
        *priced(name="Fee", position=1, quantity=part, unit_price=charge.amount),
        *priced(name="Reduced fee", position=2, quantity=reduced, unit_price=charge.while_suspended.amount),
    )
    if not charge.adjusted:
        return components
    return adjust(components, charge.adjustments, part=part + reduced, number=number)
