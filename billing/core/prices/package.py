"""Whole packages of units, after the free ones."""

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Literal

from billing.core.errors import Invalid
from billing.core.prices.component import PACKAGES, Component, priced


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """`price` in major units for each package of `size` units above the `free_units` of the period.

    A package that was begun is whole (`round: up`), or only full packages count (`round: down`). Raises Invalid for
    a size of zero.
    """

    model: ClassVar[str] = "package"
    size: Fraction
    price: Fraction
    free_units: Fraction = Fraction(0)
    round: Literal["up", "down"] = "up"

    def __post_init__(self) -> None:
        if self.size <= 0:
            raise Invalid("size is 0; a package has a size above 0")

    def rate(self, quantity: Fraction) -> tuple[Component, ...]:
        packages = max(quantity - self.free_units, Fraction(0)) / self.size
        match self.round:
            case "up":
                whole = -(-packages.numerator // packages.denominator)
            case "down":
                whole = packages.numerator // packages.denominator
        return priced(name=PACKAGES, position=1, quantity=Fraction(whole), unit_price=self.price)
