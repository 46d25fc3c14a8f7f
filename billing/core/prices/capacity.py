"""A price for the level that the period's peak reaches: contracted power, bandwidth, concurrent sessions."""

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from billing.core.prices.component import Component
from billing.core.prices.stairstep import Stairstep, Step
from billing.core.prices.tiers import check_bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """The amount of the step that holds the peak; the calculator's aggregation is the maximum.

    `charge_zero` charges the first step even when there was no peak. Raises Invalid as Graduated does.
    """

    model: ClassVar[str] = "capacity"
    steps: tuple[Step, ...]
    charge_zero: bool = True

    def __post_init__(self) -> None:
        check_bounds(self.steps, "step")

    def rate(self, peak: Fraction) -> tuple[Component, ...]:
        return Stairstep(steps=self.steps, charge_zero=self.charge_zero).rate(peak)
