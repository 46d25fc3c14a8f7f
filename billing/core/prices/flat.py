"""A price that does not depend on the quantity."""

from dataclasses import dataclass
from fractions import Fraction

from billing.core.prices.component import Component, priced


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    """`amount` a period, used or not, in major units."""

    amount: Fraction

    def rate(self) -> tuple[Component, ...]:
        return priced(name="Flat fee", position=1, quantity=Fraction(1), unit_price=self.amount)
