"""Price models: a closed set, one file each; `rate` turns a quantity into priced components."""

from fractions import Fraction
from typing import TypeAlias, assert_never

from billing.core.prices.component import Component, priced
from billing.core.prices.flat import Flat
from billing.core.prices.graduated import Graduated, Tier
from billing.core.prices.per_unit import PerUnit

Price: TypeAlias = Flat | PerUnit | Graduated


def rate(price: Price, quantity: Fraction) -> tuple[Component, ...]:
    """The components of a period's `quantity` (in the metric's unit); those worth nothing are left out.

    A quantity below zero is worth what zero is: usage is never negative.
    """
    used = max(quantity, Fraction(0))
    match price:
        case Flat():
            return price.rate()
        case PerUnit() | Graduated():
            return price.rate(used)
        case _:
            assert_never(price)


__all__ = ["Component", "Flat", "Graduated", "PerUnit", "Price", "Tier", "priced", "rate"]
