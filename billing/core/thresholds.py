"""What a period that goes on is worth so far, in whole minor units, so that no early invoice changes its total.

The law: whatever was invoiced early, what the end of the period charges brings the lines to what they would have been.
An early amount is whole minor units of its component, cut toward zero; what is left then rounds as all of it would.
"""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from billing.core.prices import Component
from billing.core.prices.component import MINIMUM


def worth_so_far(components: Iterable[Component], scale: int) -> tuple[Component, ...]:
    """The components in whole minor units (`scale` to a major one), without the minimum: it is owed at the end."""
    found = []
    for it in components:
        cut = abs(it.amount * scale).__floor__()
        if it.name != MINIMUM and cut:
            found.append(replace(it, amount=Fraction(cut if it.amount > 0 else -cut, scale)))
    return tuple(found)


def passes(now: Iterable[Component], charged: Iterable[Component], threshold: Fraction) -> bool:
    """Whether so much more is owed than was charged that it is invoiced at once."""
    return sum((it.amount for it in now), Fraction(0)) - sum((it.amount for it in charged), Fraction(0)) >= threshold
