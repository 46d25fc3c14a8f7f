"""Each tier prices its own units, as income tax does; a component for each tier that was reached."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from billing.core.errors import Invalid
from billing.core.prices.component import Component, priced

TIERS_LIMIT = 100
"""Tiers of one price: more is a formula, not a table that a customer can read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """Units up to and with `up_to` (None: all the rest) at `unit_price`; `flat_fee` once the tier is entered."""

    up_to: Fraction | None
    unit_price: Fraction = Fraction(0)
    flat_fee: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Graduated:
    """Tiers from zero upwards, the last one open.

    `charge_zero` charges the first tier's flat fee even when nothing was used, as Lago does. Raises Invalid when
    the bounds do not rise from above zero, or the last tier is not the only open one.
    """

    tiers: tuple[Tier, ...]
    charge_zero: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.tiers) <= TIERS_LIMIT:
            raise Invalid(f"a graduated price has 1 to {TIERS_LIMIT} tiers, got {len(self.tiers)}")
        lower = Fraction(0)
        for place, tier in enumerate(self.tiers, start=1):
            if (tier.up_to is None) != (place == len(self.tiers)):
                raise Invalid(f"the last tier, and only it, has `up_to: null`; look at tier {place}")
            if tier.up_to is not None:
                if tier.up_to <= lower:
                    raise Invalid(f"tier {place} ends at {tier.up_to}, which is not above {lower}; let the bounds rise")
                lower = tier.up_to

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
