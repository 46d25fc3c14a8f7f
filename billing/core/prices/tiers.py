"""The tiers that several price models share: bounds that rise from above zero, the last one open."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Protocol

from billing.core.errors import Invalid
from billing.core.money import exact_text

TIERS_LIMIT = 100
"""Tiers of one price: more is a formula, not a table that a customer can read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """Units up to and with `up_to` (None: all the rest) at `unit_price`; `flat_fee` once the tier is entered."""

    up_to: Fraction | None
    unit_price: Fraction = Fraction(0)
    flat_fee: Fraction = Fraction(0)


class Bounded(Protocol):
    """A tier or a step."""

    @property
    def up_to(self) -> Fraction | None: ...


def check_bounds(tiers: Sequence[Bounded], noun: str = "tier") -> None:
    """Raises Invalid when the bounds do not rise from above zero, or the last one is not the only open one."""
    if not 1 <= len(tiers) <= TIERS_LIMIT:
        raise Invalid(f"there should be 1 to {TIERS_LIMIT} {noun}s, got {len(tiers)}")
    bounds = [tier.up_to for tier in tiers]
    if bounds[-1] is not None or None in bounds[:-1]:
        raise Invalid(f"the last {noun}, and only the last, has `up_to: null`")
    finite = [Fraction(0), *(bound for bound in bounds if bound is not None)]
    for place, (lower, upper) in enumerate(pairwise(finite), start=1):
        if upper <= lower:
            raise Invalid(
                f"each {noun}'s `up_to` is above the one before it, and above 0; "
                f"{noun} {place} ends at {exact_text(upper)}, which is not above {exact_text(lower)}"
            )


def find(tiers: Sequence[Bounded], quantity: Fraction) -> int:
    """The place of the tier that holds `quantity`; a quantity on a bound is in the tier that ends there."""
    return next(n for n, tier in enumerate(tiers) if tier.up_to is None or quantity <= tier.up_to)
