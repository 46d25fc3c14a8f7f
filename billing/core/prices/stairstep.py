"""A price for the whole step that the quantity reaches."""

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from billing.core.prices.component import Component, priced
from billing.core.prices.tiers import check_bounds, find


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`amount` in major units for any quantity above the step before, up to and with `up_to` (None: all the rest)."""

    up_to: Fraction | None
    amount: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Stairstep:
    """The amount of the one step that holds the quantity, however little of it was used.

    `charge_zero` charges the first step even when nothing was used. Raises Invalid as Graduated does.
    """

    model: ClassVar[str] = "stairstep"
    steps: tuple[Step, ...]
    charge_zero: bool = True

    def __post_init__(self) -> None:
        check_bounds(self.steps, "step")

    def rate(self, quantity: Fraction) -> tuple[Component, ...]:
        if not quantity and not self.charge_zero:
            return ()
        place = find(self.steps, quantity)
        return priced(
            name=f"Step {place + 1}",
            position=place + 1,
            quantity=Fraction(1),
            unit_price=self.steps[place].amount,
        )
