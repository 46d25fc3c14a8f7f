"""From a period's totals to the quantity that is priced; exact, and never negative for a register."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

from billing.core.errors import Invalid
from billing.core.measured import Measured
from billing.core.quantity import unscale

Aggregation = Literal[
    "sum",
    "count",
    "max",
    "min",
    "mean",
    "latest",
    "unique_count",
    "weighted_sum",
    "weighted_mean",
    "percentile",
]
MetricKind = Literal["delta", "cumulative", "gauge", "state"]
AGGREGATIONS_BY_KIND: dict[MetricKind, tuple[Aggregation, ...]] = {
    "delta": get_args(Aggregation),
    "cumulative": ("sum", "count", "max", "latest"),
    "gauge": ("count", "max", "min", "mean", "latest", "unique_count", "weighted_mean", "percentile"),
    "state": ("count", "unique_count"),
}
"""What can be measured of a kind of metric; levels and states do not add up."""
FROM_TOTALS: frozenset[Aggregation] = frozenset({"sum", "count", "max", "mean", "latest"})
"""What can be said from totals alone; all else reads the records."""
FROM_GROUPS: frozenset[Aggregation] = frozenset({"sum", "count", "max", "min", "mean", "unique_count"})
"""What can be said from the totals of each set of properties: the order of the records is nothing to it."""


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
) -> Measured:
    """The period's usage in the metric's unit, from its totals.

    The sum of a register is `closing` minus `opening`, its values (running maximum, scaled) at the two ends of the
    period. Without either value it is 0: a register's first reading is its baseline, not a consumption. A closing
    value below the opening one is held at 0. Raises Invalid for an aggregation that the kind does not have, or that
    totals do not tell.
    """
    check_aggregation(aggregation, metric_kind)
    match aggregation:
        case "count":
            quantity = Fraction(totals.count)
        case "sum" if metric_kind == "cumulative":
            rise = 0 if opening is None or closing is None else max(closing - opening, 0)
            quantity = unscale(rise, decimals)
        case "sum":
            quantity = unscale(totals.sum, decimals)
        case "mean":
            quantity = unscale(totals.sum, decimals) / totals.count if totals.count else Fraction(0)
        case "max":
            quantity = unscale(totals.max or 0, decimals)
        case "latest":
            quantity = unscale(totals.latest or 0, decimals)
        case "min" | "unique_count" | "weighted_sum" | "weighted_mean" | "percentile":
            raise Invalid(f"{aggregation} is measured from the usage records, not from their totals")
    return Measured(quantity=quantity, count=totals.count)
