"""What a charge says about its worth as a whole: multiplier, discount, maximum and minimum of a period.

The law: they apply in this order, so that whatever the discount, a period costs no more than its maximum and no less
than its minimum; each but the multiplier shows as a component of its own.
"""

from dataclasses import dataclass, replace
from fractions import Fraction

from billing.core.errors import Invalid
from billing.core.prices.component import DISCOUNT, MAXIMUM, MINIMUM, Component, priced, worth

LAST = 1_000_000
"""Positions of the adjustments: after every priced component."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discount:
    """`percent` of the worth, or `amount` off it, in each of the first `periods` periods (None: in all of them).

    Raises Invalid unless exactly one of percent and amount is given, and for a percentage above 100.
    """

    percent: Fraction | None = None
    amount: Fraction | None = None
    periods: int | None = None

    def __post_init__(self) -> None:
        if (self.percent is None) == (self.amount is None):
            raise Invalid("a discount has either percent or amount; give one of them")
        if self.percent is not None and self.percent > 100:  # noqa: PLR2004 - percent
            raise Invalid("percent is a percentage of the worth, at most 100")
        if self.periods == 0:
            raise Invalid("periods is 0; it should be at least 1, or left out for all periods")

    def holds(self, number: int) -> bool:
        """Whether the discount is given in the period with this number, counted from 1."""
        return self.periods is None or number <= self.periods

    def off(self, worth: Fraction, part: Fraction) -> Fraction:
        """What it takes off a worth; an amount is that of `part` of a whole period, and never more than the worth."""
        taken = worth * self.percent / 100 if self.percent is not None else (self.amount or Fraction(0)) * part
        return max(min(taken, worth), Fraction(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustments:
    """Multiplier of every price, discount, and the bounds of a whole period's worth in major units."""

    multiplier: Fraction = Fraction(1)
    discount: Discount | None = None
    maximum: Fraction | None = None
    minimum: Fraction | None = None


def adjust(
    components: tuple[Component, ...], adjustments: Adjustments, *, part: Fraction, number: int
) -> tuple[Component, ...]:
    """The components of period `number` (from 1) with what the charge adds and takes.

    `part` is how much of the whole period was served: the bounds and a fixed discount hold for a whole period.
    """
    if adjustments.multiplier != 1:
        components = tuple(
            replace(
                component,
                unit_price=component.unit_price * adjustments.multiplier,
                amount=component.amount * adjustments.multiplier,
            )
            for component in components
            if adjustments.multiplier
        )
    total = worth(components)
    discount = adjustments.discount
    if discount is not None and discount.holds(number):
        off = discount.off(total, part)
        components += priced(name=DISCOUNT, position=LAST + 1, quantity=-off, unit_price=Fraction(1))
        total -= off
    if adjustments.maximum is not None:
        over = max(total - adjustments.maximum * part, Fraction(0))
        components += priced(name=MAXIMUM, position=LAST + 2, quantity=-over, unit_price=Fraction(1))
        total -= over
    if adjustments.minimum is not None:
        missing = max(adjustments.minimum * part - total, Fraction(0))
        components += priced(name=MINIMUM, position=LAST + 3, quantity=missing, unit_price=Fraction(1))
    return components
