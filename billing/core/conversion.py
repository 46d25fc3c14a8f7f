"""Units of the metric into units of the price, before anything is priced: bytes that are sold by the gigabyte."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, assert_never

from billing.core.errors import Invalid
from billing.core.money import round_half_away

Rounding = Literal["none", "up", "down", "half_up"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Convert:
    """A quantity divided by `divide_by`, then rounded to whole units as `round` says (`none`: exact).

    It is that of the `period`, once, or of each `record` before they are added up: a call of 61 seconds is 2 minutes.
    Raises Invalid for a divisor of zero.
    """

    divide_by: Fraction
    round: Rounding = "none"
    per: Literal["period", "record"] = "period"

    def __post_init__(self) -> None:
        if not self.divide_by:
            raise Invalid("divide_by is 0; it should be above 0")

    def apply(self, quantity: Fraction) -> Fraction:
        return rounded(quantity / self.divide_by, self.round)

    def apply_to_record(self, value: Fraction) -> Fraction:
        """One record's value; what takes back a record is its mirror, so that both add up to nothing."""
        return self.apply(value) if value >= 0 else -self.apply(-value)


def rounded(quantity: Fraction, rounding: Rounding) -> Fraction:
    """A quantity in whole units; `half_up` rounds halves away from zero."""
    match rounding:
        case "none":
            return quantity
        case "up":
            return Fraction(-(-quantity.numerator // quantity.denominator))
        case "down":
            return Fraction(quantity.numerator // quantity.denominator)
        case "half_up":
            return Fraction(round_half_away(quantity))
        case _:
            assert_never(rounding)
