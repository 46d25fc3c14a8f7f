"""The amount that the events carry, passed on with a markup (cost-plus)."""

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from billing.core.errors import Invalid
from billing.core.prices.component import AMOUNT, Component, priced


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamic:
    """The period's amount times `multiplier`, or plus `markup` percent; without either it is passed through.

    Raises Invalid when both are given.
    """

    model: ClassVar[str] = "dynamic"
    multiplier: Fraction | None = None
    markup: Fraction | None = None

    def __post_init__(self) -> None:
        if self.multiplier is not None and self.markup is not None:
            raise Invalid("multiplier and markup say the same in two ways; keep one")

    def rate(self, amount: Fraction) -> tuple[Component, ...]:
        factor = 1 + (self.markup or Fraction(0)) / 100 if self.multiplier is None else self.multiplier
        return priced(name=AMOUNT, position=1, quantity=amount, unit_price=factor)
