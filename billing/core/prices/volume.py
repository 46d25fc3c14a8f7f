"""The tier that holds the whole quantity prices all of it: crossing a bound can make the bill smaller."""

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from billing.core.prices.component import Component, priced
from billing.core.prices.tiers import Tier, check_bounds, find


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """Every unit at the unit price of the tier that the quantity reaches, and that tier's flat fee once.

    `charge_zero` charges the first tier's flat fee even when nothing was used. Raises Invalid as Graduated does.
    """

    model: ClassVar[str] = "volume"
    tiers: tuple[Tier, ...]
    charge_zero: bool = True

    def __post_init__(self) -> None:
        check_bounds(self.tiers)

    def rate(self, quantity: Fraction) -> tuple[Component, ...]:
        if not quantity and not self.charge_zero:
            return ()
        place = find(self.tiers, quantity)
        tier, name = self.tiers[place], f"Tier {place + 1}"
        return priced(name=name, position=2 * place + 1, quantity=quantity, unit_price=tier.unit_price) + priced(
            name=f"{name} flat fee", position=2 * place + 2, quantity=Fraction(1), unit_price=tier.flat_fee
        )
