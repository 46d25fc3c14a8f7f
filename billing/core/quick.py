"""The short way for the commonest charge: so much a unit of what adds up, in integers from the totals to the amount.

The law: it gives exactly what measuring and valuing give, or it says that it does not know the charge.
"""

from dataclasses import dataclass
from fractions import Fraction

from billing.core.charges import Charge, Usage
from billing.core.prices import Component, PerUnit
from billing.core.prices.component import UNITS
from billing.core.usage import MetricKind

Value = tuple[Fraction, tuple[Component, ...], Fraction]
"""Quantity, components, and the amount that they add up to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerUnitOfTotal:
    """`unit_price` for each unit above `included`; a unit is `scale` of the total, or of the count of records."""

    unit_price: Fraction
    included: Fraction
    scale: int
    counts: bool

    def value(self, count: int, total: int) -> Value:
        """What a count of records and their scaled total are worth."""
        used = count if self.counts else total
        quantity = Fraction(used, self.scale)
        above, whole = used, self.scale
        if self.included:
            above = used * self.included.denominator - self.included.numerator * whole
            whole *= self.included.denominator
        price = self.unit_price
        if above <= 0 or not price:
            return quantity, (), Fraction(0)
        billable = Fraction(above, whole) if self.included else quantity
        amount = Fraction(above * price.numerator, whole * price.denominator)
        component = Component(name=UNITS, position=1, quantity=billable, unit_price=price, amount=amount)
        return quantity, (component,), amount


def quick(charge: Charge, metric_kind: str | None, decimals: int) -> PerUnitOfTotal | None:
    """The short way for a charge on a metric, or None where there is none."""
    kind: MetricKind = "delta"
    if metric_kind != kind or not isinstance(charge, Usage) or charge.adjusted or charge.scope != "item":
        return None
    calculator = charge.calculator
    price = calculator.price
    if calculator.reads_records() or calculator.by is not None or calculator.convert is not None:
        return None
    if not isinstance(price, PerUnit) or calculator.aggregation not in {"sum", "count"}:
        return None
    counts = calculator.aggregation == "count"
    return PerUnitOfTotal(
        unit_price=price.unit_price, included=price.included, scale=1 if counts else 10**decimals, counts=counts
    )
