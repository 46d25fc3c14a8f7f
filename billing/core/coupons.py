"""A coupon: a fixed amount off whole invoices, before tax, so that each VAT rate takes its part of it.

The law: the parts add up to what is taken off, and nothing is taken below zero, neither net nor with VAT.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Literal, NamedTuple

from billing.core.money import allocate, round_half_away

Rate = tuple[str, Fraction]
"""VAT category and rate in percent."""


class Reducible(NamedTuple):
    """A line that a coupon may be taken off, or one of an earlier coupon; `contract` where a document has many."""

    rate: Rate
    contract: str
    subscription: str
    net_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Coupon:
    """`amount_minor` off the documents of each of `periods` billing months, on one subscription or on all."""

    id: int
    name: str
    contract: str
    subscription: str | None
    amount_minor: int
    periods: int
    rest: Literal["carry", "drop"]
    starts_on: date

    def left(self, taken: Mapping[date, int], month_starts_on: date) -> int:
        """What can be taken in a month, given what was taken by month; a month of which nothing was does not count."""
        used = {month: minor for month, minor in taken.items() if minor > 0}
        others = len(used.keys() - {month_starts_on})
        if self.rest == "carry":
            return self.amount_minor * min(others + 1, self.periods) - sum(used.values())
        return 0 if others >= self.periods else self.amount_minor - used.get(month_starts_on, 0)

    def is_on(self, line: Reducible) -> bool:
        """Whether it reduces this line."""
        return line.contract in {"", self.contract} and self.subscription in {None, line.subscription}


def spread_coupon(off_minor: int, lines: Sequence[tuple[str, int]]) -> dict[str, int]:
    """What is taken off each line (key, net in minor units), pro rata, to the minor unit, ties by key.

    A coupon above the lines' total takes all of it and no more.
    """
    total = sum(net for _, net in lines)
    return allocate(max(min(off_minor, total), 0), [(key, Fraction(net)) for key, net in lines])


def reduction(coupon: Coupon, left_minor: int, lines: Sequence[Reducible]) -> dict[Rate, int]:
    """By VAT category and rate, what the coupon takes off a document; empty where it takes nothing.

    `lines` are all of the document's, those of earlier coupons too. Only what is above zero is reduced.
    """
    bases: dict[Rate, int] = defaultdict(int)
    own: dict[Rate, int] = defaultdict(int)
    for line in lines:
        bases[line.rate] += line.net_minor
        if coupon.is_on(line):
            own[line.rate] += line.net_minor
    room = {rate: min(net, bases[rate]) for rate, net in sorted(own.items()) if min(net, bases[rate]) > 0}
    keys = {f"{category} {rate}": (category, rate) for category, rate in room}
    found: dict[Rate, int] = {}
    low, high = 0, min(left_minor, sum(room.values()), sum(bases.values()))
    off = high
    # A rate that takes back more than it charges can make the total negative before the net is: then by halves.
    while low < high:
        spread = spread_coupon(off, [(key, room[rate]) for key, rate in keys.items()])
        parts = {keys[key]: part for key, part in spread.items() if part}
        if sum(_with_vat(rate, base - parts.get(rate, 0)) for rate, base in bases.items()) >= 0:
            low, found = off, parts
        else:
            high = off - 1
        off = (low + high + 1) // 2
    return found


def _with_vat(rate: Rate, base: int) -> int:
    return base + round_half_away(base * rate[1] / 100)
