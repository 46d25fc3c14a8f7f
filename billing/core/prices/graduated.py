"""Each tier prices its own units, as income tax does; a component for each tier that was reached."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from billing.core.prices.component import Component, priced
from billing.core.prices.tiers import Tier, check_bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Graduated:
    """Tiers from zero upwards, the last one open.

    `charge_zero` charges the first tier's flat fee even when nothing was used: the first tier begins at zero. Raises
    Invalid when the bounds do not rise from above zero, or the last tier is not the only open one.
    """

    model: ClassVar[str] = "graduated"
    tiers: tuple[Tier, ...]
    charge_zero: bool = True

    def __post_init__(self) -> None:
        check_bounds(self.tiers)

    def rate(self, quantity: Fraction) -> tuple[Component, ...]:
        return tuple(self._components(quantity))

    def _components(self, quantity: Fraction) -> Iterator[Component]:
        lower = Fraction(0)
        for place, tier in enumerate(self.tiers, start=1):
            entered = quantity > lower
            inside = (quantity if tier.up_to is None else min(quantity, tier.up_to)) - lower
            if entered:
                yield from priced(
                    name=f"Tier {place}", position=2 * place - 1, quantity=inside, unit_price=tier.unit_price
                )
            if entered or (place == 1 and self.charge_zero):
                yield from priced(
                    name=f"Tier {place} flat fee",
                    position=2 * place,
                    quantity=Fraction(1),
                    unit_price=tier.flat_fee,
                )
            if tier.up_to is None or quantity <= tier.up_to:
                return
            lower = tier.up_to
