"""What coupons take off a contract's documents, replayed document by document; it shares no code with the engine.

The law: what a coupon has left is what the documents before took of it, less what cancellations gave back; it takes
nothing below zero, and only of the invoices of a close.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

Rate = tuple[str, Fraction]
"""VAT category and rate in percent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line as it was issued; `coupon` is the name of the one that it takes off, or empty."""

    rate: Rate
    subscription: str
    net_minor: int
    coupon: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An issued document; a cancellation says of which month the invoice is that it takes back."""

    number: str
    contract: str
    purpose: str
    kind: str
    month: str
    lines: tuple[Line, ...]


Taken = dict[tuple[str, str], dict[str, int]]
"""By contract and coupon, what was taken in each month."""


def wrong_coupons(contracts: Sequence[Mapping[str, Any]], documents: Sequence[Document], digits: int) -> Iterator[str]:
    """Every document whose coupons are not what they should be; the documents are in the order of issue.

    `digits` is how many decimals their currency has.
    """
    declared = {contract["name"]: contract.get("coupons", ()) for contract in contracts}
    taken: Taken = defaultdict(lambda: defaultdict(int))
    for document in documents:
        found = {(it.coupon, it.rate): -it.net_minor for it in document.lines if it.coupon}
        if document.purpose == "gesture":
            continue
        if document.purpose == "cancellation":
            for (name, _), minor in found.items():
                taken[document.contract, name][document.month] -= minor  # as far as it is credited, it is given back
            continue
        wanted = _expected(declared[document.contract], document, taken, digits) if document.purpose == "period" else {}
        if wanted != found:
            yield f"{document.number}: coupons took {_shown(found)}, the auditor says {_shown(wanted)}"
        for (name, _), minor in found.items():
            taken[document.contract, name][document.month] += minor


def _shown(found: Mapping[tuple[str, Rate], int]) -> str:
    return ", ".join(f"{name} {rate[1]} %: {minor}" for (name, rate), minor in sorted(found.items())) or "nothing"


def _expected(
    coupons: Sequence[Mapping[str, Any]], document: Document, taken: Taken, digits: int
) -> dict[tuple[str, Rate], int]:
    if document.kind != "invoice":
        return {}
    lines = [line for line in document.lines if not line.coupon]
    found: dict[tuple[str, Rate], int] = {}
    for coupon in coupons:
        if coupon.get("starts_on", "")[:7] > document.month[:7]:
            continue
        left = _left(coupon, taken[document.contract, coupon["name"]], document.month, digits)
        for rate, minor in _off(coupon.get("subscription"), left, lines).items():
            found[coupon["name"], rate] = minor
            lines.append(Line(rate=rate, subscription=coupon.get("subscription", ""), net_minor=-minor))
    return found


def _left(coupon: Mapping[str, Any], months: Mapping[str, int], month: str, digits: int) -> int:
    """In minor units."""
    amount, periods = int(Fraction(coupon["amount"]) * 10**digits), int(coupon.get("periods", 1))
    before = [it for it, minor in months.items() if minor > 0 and it != month]
    if coupon.get("rest", "carry") == "drop":
        return 0 if len(before) >= periods else amount - max(months.get(month, 0), 0)
    used = sum(minor for minor in months.values() if minor > 0)
    return amount * min(len(before) + 1, periods) - used


def _off(subscription: str | None, left: int, lines: Sequence[Line]) -> dict[Rate, int]:
    """The most that can be taken, spread over the rates by what each may give."""
    bases: dict[Rate, int] = defaultdict(int)
    own: dict[Rate, int] = defaultdict(int)
    for line in lines:
        bases[line.rate] += line.net_minor
        if subscription is None or line.subscription == subscription:
            own[line.rate] += line.net_minor
    room = {rate: min(net, bases[rate]) for rate, net in own.items() if min(net, bases[rate]) > 0}
    off = min(left, sum(room.values()), sum(bases.values()))
    while off > 0:
        parts = _spread(off, room)
        if sum(_gross(rate, base - parts.get(rate, 0)) for rate, base in bases.items()) >= 0:
            return parts
        off -= 1
    return {}


def _spread(off: int, room: Mapping[Rate, int]) -> dict[Rate, int]:
    total = sum(room.values())
    parts = {rate: off * net // total for rate, net in room.items()}
    by_rest = sorted(room, key=lambda rate: (-(off * room[rate] % total), f"{rate[0]} {rate[1]}"))
    for rate in by_rest[: off - sum(parts.values())]:
        parts[rate] += 1
    return {rate: part for rate, part in parts.items() if part}


def _gross(rate: Rate, base: int) -> int:
    """With VAT, which is rounded half away from zero."""
    vat = abs(base) * rate[1] / 100
    rounded = int(vat + Fraction(1, 2))
    return base + (rounded if base >= 0 else -rounded)
