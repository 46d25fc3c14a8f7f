"""One amount for the period, used or not."""

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from billing.core.prices.component import FLAT, Component, priced


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    """`amount` in major units of the currency, whatever the quantity."""

    model: ClassVar[str] = "flat"
    amount: Fraction

    def rate(self) -> tuple[Component, ...]:
        return priced(name=FLAT, position=1, quantity=Fraction(1), unit_price=self.amount)
