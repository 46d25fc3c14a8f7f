"""The short way for the commonest charge: so much a unit of what adds up, in integers from the totals to the amount.

The law: it gives exactly what measuring and valuing give, or it says that it does not know the charge.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from billing.core.charges import Charge, Usage
from billing.core.prices import PerUnit
from billing.core.usage import MetricKind

POSITION = 1
"""Of the one component, among those of a schedule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerUnitOfTotal:
    """`unit_price` for each unit above `included`; a unit is `scale` of the total, or of the count of records."""

    unit_price: Fraction
    included: Fraction
    scale: int
    counts: bool

    def used(self, count: int, total: int) -> int:
        """What is priced of a count of records and their scaled total, in parts of a unit (`scale`)."""
        return count if self.counts else total

    def columns(self, used: Sequence[int]) -> "Columns":
        """What is charged of each quantity (in parts of a unit), and what that costs."""
        taken, whole = self.included.numerator * self.scale, self.included.denominator
        price = self.unit_price
        if not price:
            charged = [0] * len(used)
        elif self.included:
            charged = [max(0, each * whole - taken) for each in used]
        else:
            charged = [max(0, each) for each in used]
        amounts = [each * price.numerator for each in charged]
        return Columns(charged, self.scale * whole, amounts, self.scale * whole * price.denominator)


class Columns(NamedTuple):
    """What many quantities are worth: integers over one denominator in each column; zero where nothing is charged."""

    charged: Sequence[int]
    charged_scale: int
    amounts: Sequence[int]
    amount_scale: int


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
