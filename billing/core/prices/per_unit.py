"""One price for each unit beyond what is included."""

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from billing.core.prices.component import UNITS, Component, priced


@dataclass(frozen=True, slots=True, kw_only=True)
class PerUnit:
    """`unit_price` in major units for each unit above the `included` ones of the period."""

    model: ClassVar[str] = "per_unit"
    unit_price: Fraction
    included: Fraction = Fraction(0)

    def rate(self, quantity: Fraction) -> tuple[Component, ...]:
        billable = max(quantity - self.included, Fraction(0))
        return priced(name=UNITS, position=1, quantity=billable, unit_price=self.unit_price)
