"""What one schedule is worth: a fee by its days, usage by its price; exact, nothing rounded."""

from collections.abc import Iterable
from datetime import date
from fractions import Fraction

from billing.core.charges import Recurring, Usage
from billing.core.errors import Invalid
from billing.core.periods import Period
from billing.core.prices import Component, priced, rate


def suspended_days(period: Period, suspensions: Iterable[tuple[date, date | None]]) -> int:
    """Days of the period that lie in any of the suspensions `[start, end)`; an end of None is still open."""
    days, covered_until = 0, period.starts_on
    for starts_on, ends_on in sorted(suspensions, key=lambda span: (span[0], span[1] or date.max)):
        begin = max(starts_on, covered_until)
        end = period.ends_on if ends_on is None else min(ends_on, period.ends_on)
        if begin < end:
            days += (end - begin).days
            covered_until = end
    return days


def billable_days(period: Period, suspensions: Iterable[tuple[date, date | None]]) -> int:
    """Days of the period outside all suspensions."""
    return period.days - suspended_days(period, suspensions)


def value_recurring(charge: Recurring, period: Period, suspended_days: int) -> tuple[Component, ...]:
    """The fee of one period: billable days over the whole period's days, at the full price.

    Without proration it is one whole fee, or none when the fee stops and every day was suspended. Raises Invalid
    when the suspended days do not fit the period.
    """
    if not 0 <= suspended_days <= period.days:
        raise Invalid(f"{suspended_days} suspended days do not fit a period of {period.days} days")
    days = period.days if charge.while_suspended == "charge" else period.days - suspended_days
    match charge.prorate:
        case "day":
            quantity = Fraction(days, period.nominal_days)
        case "none":
            quantity = Fraction(1 if days else 0)
    return priced(name="Fee", position=1, quantity=quantity, unit_price=charge.amount)


def value_usage(charge: Usage, quantity: Fraction) -> tuple[Component, ...]:
    """The components of a period's measured quantity, in the metric's unit."""
    return rate(charge.price, quantity)
