"""A coupon: a fixed amount off a whole invoice, before tax, so that each VAT rate takes its part of it.

The law: the parts add up to what is taken off, and nothing is taken below zero.
"""

from collections.abc import Sequence
from fractions import Fraction

from billing.core.money import allocate


def spread_coupon(off_minor: int, lines: Sequence[tuple[str, int]]) -> dict[str, int]:
    """What is taken off each line (key, net in minor units), pro rata, to the minor unit, ties by key.

    A coupon above the lines' total takes all of it and no more.
    """
    total = sum(net for _, net in lines)
    return allocate(max(min(off_minor, total), 0), [(key, Fraction(net)) for key, net in lines])
