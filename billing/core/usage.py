"""From a period's totals to the quantity that is priced; exact, and never negative for a register."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, assert_never

from billing.core.errors import Invalid
from billing.core.quantity import unscale

Aggregation = Literal["sum", "count", "max", "latest"]
MetricKind = Literal["delta", "cumulative", "gauge", "state"]
AGGREGATIONS_BY_KIND: dict[MetricKind, tuple[Aggregation, ...]] = {
    "delta": ("sum", "count", "max", "latest"),
    "cumulative": ("sum", "count", "max", "latest"),
    "gauge": ("count", "max", "latest"),
    "state": ("count",),
}
"""What can be measured of a kind of metric; levels and states do not add up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageTotals:
    """One object's records of one metric in one period, added up; scaled integers, None where there is no record."""

    count: int = 0
    sum: int = 0
    max: int | None = None
    latest: int | None = None


def check_aggregation(aggregation: Aggregation, metric_kind: MetricKind) -> None:
    """Raises Invalid when this kind of metric cannot be measured in this way."""
    allowed = AGGREGATIONS_BY_KIND[metric_kind]
    if aggregation not in allowed:
        raise Invalid(
            f"a {metric_kind} metric has no {aggregation}; choose {' or '.join(allowed)}",
            code="aggregation",
            allowed=allowed,
        )


def measure(
    *,
    aggregation: Aggregation,
    metric_kind: MetricKind,
    decimals: int,
    totals: UsageTotals,
    opening: int | None,
    closing: int | None,
) -> Fraction:
    """The period's quantity in the metric's unit.

    The sum of a register is `closing` minus `opening`, its values (running maximum, scaled) at the two ends of the
    period. Without either value it is 0: a register's first reading is its baseline, not a consumption. A closing
    value below the opening one is held at 0. Raises Invalid for an aggregation that the kind does not have.
    """
    check_aggregation(aggregation, metric_kind)
    match aggregation:
        case "count":
            return Fraction(totals.count)
        case "sum" if metric_kind == "cumulative":
            if opening is None or closing is None:
                return Fraction(0)
            return unscale(max(closing - opening, 0), decimals)
        case "sum":
            return unscale(totals.sum, decimals)
        case "max":
            return unscale(totals.max or 0, decimals)
        case "latest":
            return unscale(totals.latest or 0, decimals)
        case _:
            assert_never(aggregation)
