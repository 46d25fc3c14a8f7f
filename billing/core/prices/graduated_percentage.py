"""A percentage that changes with the amount, tier by tier."""

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from billing.core.prices.component import Component
from billing.core.prices.graduated import Graduated
from billing.core.prices.percentage import PERCENT
from billing.core.prices.tiers import Tier, check_bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class RateTier:
    """The amount up to and with `up_to` (None: all the rest) at `rate` percent; `flat_fee` once it is entered."""

    up_to: Fraction | None
    rate: Fraction = Fraction(0)
    flat_fee: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraduatedPercentage:
    """Each tier takes its percentage of its own part of the period's total amount, in major units.

    `charge_zero` charges the first tier's flat fee even when the amount is zero. Raises Invalid as Graduated does.
    """

    model: ClassVar[str] = "graduated_percentage"
    tiers: tuple[RateTier, ...]
    charge_zero: bool = True

    def __post_init__(self) -> None:
        check_bounds(self.tiers)

    def rate(self, total: Fraction) -> tuple[Component, ...]:
        tiers = tuple(
            Tier(up_to=tier.up_to, unit_price=tier.rate * PERCENT, flat_fee=tier.flat_fee) for tier in self.tiers
        )
        return Graduated(tiers=tiers, charge_zero=self.charge_zero).rate(total)
