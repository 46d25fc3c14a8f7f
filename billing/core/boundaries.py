"""What a register stood at, at the end of a period, from the readings around it.

The law: each period starts from exactly the value at which the one before ended, so whatever is estimated between,
the periods add up to the last reading less the first. Quantities are scaled integers, instants are microseconds.
"""

from fractions import Fraction
from typing import Literal, NamedTuple

from billing.core.money import round_half_away
from billing.core.registers import Probe

Quality = Literal["baseline", "estimated", "held", "reading", "interpolated", "replaced"]
"""How a value is known.

`reading`: read at the boundary, within the tolerance. `interpolated`: on the line between the readings around it.
`estimated`: the last reading before, carried. `held`: the same, since later ones are held for review. `baseline`: the
first reading of all. `replaced`: given by a person.
"""
How = Literal["carried", "interpolated"]


class Value(NamedTuple):
    quantity: int
    quality: Quality


class Rule(NamedTuple):
    """How a metric wants its boundaries: the last reading `carried`, or the best there is (`interpolated`)."""

    how: How = "carried"
    tolerance: int = 0
    """A reading so near to the boundary (microseconds) is its value."""


def value_at(at: int, around: Probe, rule: Rule) -> Value | None:
    """The value at an instant; None where nothing was read before it.

    Best first: a reading within the tolerance (the nearer one), the line between two readings, the last one carried.
    """
    before, after = around.before, around.after
    if before is None:
        return None
    if around.held:
        return Value(before.quantity, "held")
    if rule.how == "carried":
        return Value(before.quantity, "estimated")
    near = [
        (abs(reading.at - at), reading.quantity)
        for reading in (before, after)
        if reading is not None and abs(reading.at - at) <= rule.tolerance
    ]
    if near:
        return Value(min(near)[1], "reading")
    if after is None or after.quantity < before.quantity:
        return Value(before.quantity, "estimated")
    rise = Fraction(after.quantity - before.quantity) * (at - before.at) / (after.at - before.at)
    return Value(before.quantity + round_half_away(rise), "interpolated")
