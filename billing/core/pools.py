"""What a pool is worth, given back to the objects that share it: by what each used of it, to the minor unit.

The law: the shares add up to the pool's amount. A pool is priced once, on all of its usage; a share is not a price.
"""

from collections.abc import Sequence
from fractions import Fraction

from billing.core.money import allocate


def spread_pool(net_minor: int, used: Sequence[tuple[str, Fraction]]) -> dict[str, int]:
    """Each object's share of the pool's rounded amount, by largest remainder, ties by reference.

    `used` is (reference, quantity) of every object in the pool. Usage below zero counts as none. Where nobody used
    anything (a minimum, a first tier's fee), all share alike. Raises Invalid for an amount without objects.
    """
    quantities = [(reference, max(quantity, Fraction(0))) for reference, quantity in used]
    if not any(quantity for _, quantity in quantities):
        quantities = [(reference, Fraction(1)) for reference, _ in used]
    return allocate(net_minor, quantities)
