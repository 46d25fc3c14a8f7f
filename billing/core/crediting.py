"""A credit note for an issued invoice: whole or in part, never more than it states, to the cent of its VAT.

The law: an invoice and its credit notes never add up below zero, line by line and rate by rate; the note that
credits the last of a rate takes all of the VAT that is left (EN 16931 states VAT once per rate, so parts of it
rounded apart would not add up).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from billing.core.errors import Invalid, Refused
from billing.core.invoicing import VatTotal
from billing.core.money import allocate, format_minor, round_half_away


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditableShare:
    """One schedule's part of a line, as it was issued."""

    schedule_id: int
    reference: str
    quantity: Fraction
    amount: Fraction
    share_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditableLine:
    """An issued line, and what earlier credit notes took from it, in minor units."""

    position: int
    vat_category: str
    vat_rate: Fraction
    quantity: Fraction
    amount: Fraction
    net_minor: int
    credited_minor: int
    shares: tuple[CreditableShare, ...]

    @property
    def left_minor(self) -> int:
        """What can still be credited."""
        return self.net_minor - self.credited_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditedLine:
    """A line of the credit note, stated positively, for the line of the invoice at `position`."""

    position: int
    quantity: Fraction
    amount: Fraction
    net_minor: int
    shares: tuple[CreditableShare, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditDraft:
    """A credit note before its number, in positive amounts."""

    lines: tuple[CreditedLine, ...]
    vat: tuple[VatTotal, ...]
    net_minor: int
    vat_minor: int
    gross_minor: int


def credit_invoice(
    lines: Sequence[CreditableLine],
    vat: Sequence[VatTotal],
    credited_vat: Sequence[VatTotal],
    *,
    wanted: Mapping[int, int] | None,
    minor_digits: int,
) -> CreditDraft:
    """The credit note of `wanted` net minor units by line position; all that is left when `wanted` is None.

    `vat` is the invoice's, `credited_vat` what earlier notes credited of it. Raises Invalid for a line that is not
    there or an amount that has the wrong sign, and Refused for more than is left.
    """
    by_position = {line.position: line for line in lines}
    if wanted is None:
        wanted = {line.position: line.left_minor for line in lines if line.left_minor}
        if not wanted:
            raise Refused("the invoice is credited whole already; nothing is left")
    for position, minor in wanted.items():
        _check(by_position, position, minor, minor_digits)
    scale = 10**minor_digits
    credited = tuple(_line(by_position[position], wanted[position], scale) for position in sorted(wanted))
    totals = _vat(lines, credited, vat, credited_vat)
    net_minor, vat_minor = sum(line.net_minor for line in credited), sum(total.vat_minor for total in totals)
    return CreditDraft(
        lines=credited, vat=totals, net_minor=net_minor, vat_minor=vat_minor, gross_minor=net_minor + vat_minor
    )


def _check(lines: Mapping[int, CreditableLine], position: int, minor: int, digits: int) -> None:
    if position not in lines:
        raise Invalid(f"the invoice has no line {position}; it has {', '.join(str(each) for each in sorted(lines))}")
    left = lines[position].left_minor
    if minor == 0 or (minor > 0) != (left > 0):
        raise Invalid(
            f"line {position} states {format_minor(lines[position].net_minor, digits)}, so "
            f"{format_minor(minor, digits)} cannot be credited of it"
        )
    if abs(minor) > abs(left):
        raise Refused(
            f"{format_minor(left, digits)} of line {position} is left to credit, not {format_minor(minor, digits)}"
        )


def _line(line: CreditableLine, minor: int, scale: int) -> CreditedLine:
    """A part of a line: its share of quantity; the whole line keeps its exact amount."""
    part = Fraction(minor, line.net_minor)
    exact = line.amount if part == 1 else Fraction(minor, scale)
    order = sorted(line.shares, key=lambda share: (share.reference, share.schedule_id))
    width = len(str(len(order)))
    weights = [(f"{rank:0{width}d}", Fraction(share.share_minor)) for rank, share in enumerate(order)]
    parts = allocate(minor, weights)
    # Exact parts follow the shares' exact worth, so that they add up to the exact line.
    factor = exact / line.amount if line.amount else Fraction(0)
    return CreditedLine(
        position=line.position,
        quantity=line.quantity * part,
        amount=exact,
        net_minor=minor,
        shares=tuple(
            CreditableShare(
                schedule_id=share.schedule_id,
                reference=share.reference,
                quantity=share.quantity * part,
                amount=share.amount * factor,
                share_minor=parts[key],
            )
            for share, (key, _) in zip(order, weights, strict=True)
        ),
    )


def _vat(
    lines: Sequence[CreditableLine],
    credited: Sequence[CreditedLine],
    vat: Sequence[VatTotal],
    credited_vat: Sequence[VatTotal],
) -> tuple[VatTotal, ...]:
    keys = {line.position: (line.vat_category, line.vat_rate) for line in lines}
    bases: dict[tuple[str, Fraction], int] = defaultdict(int)
    for line in credited:
        bases[keys[line.position]] += line.net_minor
    left_base: dict[tuple[str, Fraction], int] = defaultdict(int)
    left_vat: dict[tuple[str, Fraction], int] = defaultdict(int)
    for sign, totals in ((1, vat), (-1, credited_vat)):
        for total in totals:
            left_base[total.category, total.rate] += sign * total.base_minor
            left_vat[total.category, total.rate] += sign * total.vat_minor
    return tuple(
        VatTotal(
            category=key[0],
            rate=key[1],
            base_minor=base,
            vat_minor=left_vat[key] if base == left_base[key] else round_half_away(base * key[1] / 100),
        )
        for key, base in sorted(bases.items())
    )
