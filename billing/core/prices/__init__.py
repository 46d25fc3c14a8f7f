"""Price models: a closed set, one file each; `rate` turns what was measured into priced components."""

from fractions import Fraction
from typing import TypeAlias, assert_never

from billing.core.measured import Measured
from billing.core.prices.capacity import Capacity
from billing.core.prices.component import FLAT_FEE, NO_PRICE, Component, is_unpriced, priced, unit_of, worth
from billing.core.prices.context import NO_CONTEXT, Context
from billing.core.prices.dynamic import Dynamic
from billing.core.prices.flat import Flat
from billing.core.prices.graduated import Graduated
from billing.core.prices.graduated_percentage import GraduatedPercentage, RateTier
from billing.core.prices.package import Package
from billing.core.prices.per_unit import PerUnit
from billing.core.prices.percentage import Percentage
from billing.core.prices.plugin import Plugin
from billing.core.prices.rule import Rule
from billing.core.prices.stairstep import Stairstep, Step
from billing.core.prices.tiers import Tier
from billing.core.prices.volume import Volume

Price: TypeAlias = (
    Flat
    | PerUnit
    | Graduated
    | Volume
    | Stairstep
    | Package
    | Percentage
    | GraduatedPercentage
    | Dynamic
    | Capacity
    | Rule
    | Plugin
)


def rate(price: Price, measured: Measured, context: Context = NO_CONTEXT) -> tuple[Component, ...]:
    """The components of a period's usage; those worth nothing are left out.

    A quantity below zero is worth what zero is: usage is never negative. `context` is what rules may read beside the
    usage. Raises Invalid when the price looks at each event and only their total is known, and for a rule that fails.
    """
    used = max(measured.quantity, Fraction(0))
    match price:
        case Flat():
            return price.rate()
        case Percentage():
            return price.price(measured)
        case PerUnit() | Graduated() | Volume() | Stairstep() | Package() | Capacity() | GraduatedPercentage():
            return price.rate(used)
        case Dynamic():
            return price.rate(used)
        case Rule() | Plugin():
            return price.price(measured, context)
        case _:
            assert_never(price)


__all__ = [
    "FLAT_FEE",
    "NO_CONTEXT",
    "NO_PRICE",
    "Capacity",
    "Component",
    "Context",
    "Dynamic",
    "Flat",
    "Graduated",
    "GraduatedPercentage",
    "Package",
    "PerUnit",
    "Percentage",
    "Plugin",
    "Price",
    "RateTier",
    "Rule",
    "Stairstep",
    "Step",
    "Tier",
    "Volume",
    "is_unpriced",
    "priced",
    "rate",
    "unit_of",
    "worth",
]
