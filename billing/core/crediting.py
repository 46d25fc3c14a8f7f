"""A credit note for an issued invoice: whole or in part, never more than is left of it, to the cent of its VAT.

The law: an invoice and its credit notes never add up below zero, share by share and rate by rate; the note that
credits the last of a rate takes all of the VAT that is left (EN 16931 states VAT once per rate, so parts of it
rounded apart would not add up).
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from billing.core.errors import Invalid, Refused
from billing.core.invoicing import VatTotal
from billing.core.money import allocate, exact_sum, exact_text, format_minor, round_half_away

Rate = tuple[str, Fraction]
"""VAT category and rate in percent."""
WHOLE = Fraction(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditableShare:
    """One schedule's part of a line as it was issued, and what earlier notes for the line took of it.

    `charged_minor` is what all documents together charge for the schedule at the line's price: a later correction
    may have taken some of it back. Where it did, `rest` is the exact quantity and amount of that.
    """

    schedule_id: int
    reference: str
    quantity: Fraction
    amount: Fraction
    share_minor: int
    charged_minor: int
    credited_quantity: Fraction = Fraction(0)
    credited_amount: Fraction = Fraction(0)
    credited_minor: int = 0
    rest: tuple[Fraction, Fraction] | None = None

    @property
    def exact_rest(self) -> tuple[Fraction, Fraction] | None:
        """The quantity and amount of all that can still be credited; None where it is not known exactly."""
        if self.left_minor == self.open_minor:
            return self.quantity - self.credited_quantity, self.amount - self.credited_amount
        return self.rest if self.left_minor == self.charged_minor else None

    @property
    def open_minor(self) -> int:
        """What no note for the line has credited."""
        return self.share_minor - self.credited_minor

    @property
    def left_minor(self) -> int:
        """What can still be credited; what was taken back already can be given back whole."""
        if self.share_minor < 0:
            return min(self.open_minor, 0)
        return max(min(self.open_minor, self.charged_minor), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditableLine:
    """An issued line with all that it was made of."""

    position: int
    vat_category: str
    vat_rate: Fraction
    net_minor: int
    shares: tuple[CreditableShare, ...]
    """None of a coupon's line, which is credited as a whole."""
    credited_minor: int = 0
    """Of a coupon's line, what earlier notes credited."""

    @property
    def left_minor(self) -> int:
        """What can still be credited."""
        if not self.shares:
            return self.net_minor - self.credited_minor
        return sum(share.left_minor for share in self.shares)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditedShare:
    """One schedule's part of a line of the note; it adds up to the line."""

    schedule_id: int
    reference: str
    quantity: Fraction
    amount: Fraction
    share_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditedLine:
    """A line of the credit note, stated positively, for the line of the invoice at `position`."""

    position: int
    quantity: Fraction
    amount: Fraction
    net_minor: int
    shares: tuple[CreditedShare, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditDraft:
    """A credit note before its number, in positive amounts."""

    lines: tuple[CreditedLine, ...]
    vat: tuple[VatTotal, ...]
    net_minor: int
    vat_minor: int
    gross_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be credited: the lines at these positions (all when none is named), whole or in part.

    `amount_minor` is a net amount spread over the lines by what is left of each; `percent` is taken of each line as it
    was issued. Raises Invalid when both are given, or out of their range.
    """

    positions: tuple[int, ...] = ()
    amount_minor: int | None = None
    percent: Fraction | None = None

    def __post_init__(self) -> None:
        if self.amount_minor is not None and self.percent is not None:
            raise Invalid("a credit note is for an amount or for a percentage; give one of them")
        if self.amount_minor is not None and self.amount_minor <= 0:
            raise Invalid("the amount to credit is above zero")
        if self.percent is not None and not 0 < self.percent <= WHOLE:
            raise Invalid(f"{exact_text(self.percent)} percent cannot be credited; write more than 0 and at most 100")


def credit_invoice(
    lines: Sequence[CreditableLine],
    vat: Sequence[VatTotal],
    credited_vat: Sequence[VatTotal],
    *,
    wanted: Wanted,
    minor_digits: int,
) -> CreditDraft:
    """The credit note of what is wanted; all that is left when nothing particular is.

    `vat` is the invoice's, `credited_vat` what earlier notes for it credited. Raises Invalid for a line that is not
    there, and Refused for more than is left.
    """
    by_line = _wanted_by_line(lines, wanted, minor_digits)
    by_position = {line.position: line for line in lines}
    scale = 10**minor_digits
    credited = tuple(_line(by_position[position], minor, scale) for position, minor in sorted(by_line.items()))
    bases: dict[Rate, int] = defaultdict(int)
    for line in credited:
        issued = by_position[line.position]
        bases[issued.vat_category, issued.vat_rate] += line.net_minor
    left = left_of(vat, credited_vat)
    for key, base in sorted(bases.items()):
        _check_rate(key, base, left[key][0], minor_digits)
    totals = vat_of_credit(bases, left)
    net_minor, vat_minor = sum(line.net_minor for line in credited), sum(total.vat_minor for total in totals)
    if net_minor <= 0:
        raise Refused("nothing is left to credit there")
    return CreditDraft(
        lines=credited, vat=totals, net_minor=net_minor, vat_minor=vat_minor, gross_minor=net_minor + vat_minor
    )


def left_of(vat: Sequence[VatTotal], credited: Sequence[VatTotal]) -> dict[Rate, tuple[int, int]]:
    """By category and rate, the base and the VAT that an invoice's notes have left."""
    left: dict[Rate, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for sign, totals in ((1, vat), (-1, credited)):
        for total in totals:
            base_minor, vat_minor = left[total.category, total.rate]
            left[total.category, total.rate] = (
                base_minor + sign * total.base_minor,
                vat_minor + sign * total.vat_minor,
            )
    return left


def vat_of_credit(bases: Mapping[Rate, int], left: Mapping[Rate, tuple[int, int]]) -> tuple[VatTotal, ...]:
    """The VAT of a note on these bases: rounded once per rate, never more than is left, and all of it with the last."""
    return tuple(
        VatTotal(category=key[0], rate=key[1], base_minor=base, vat_minor=_vat(key, base, left[key]))
        for key, base in sorted(bases.items())
    )


def _vat(key: Rate, base: int, left: tuple[int, int]) -> int:
    if base == left[0]:
        return left[1]
    rounded = round_half_away(base * key[1] / 100)
    return min(rounded, left[1]) if base >= 0 else max(rounded, left[1])


def _wanted_by_line(lines: Sequence[CreditableLine], wanted: Wanted, digits: int) -> dict[int, int]:
    """By position, the net minor units to credit; none of them zero."""
    chosen = _chosen(lines, wanted.positions)
    if wanted.percent is not None:
        found = {
            line.position: _nearer_zero(line.left_minor, round_half_away(line.net_minor * wanted.percent / 100))
            for line in chosen
        }
    elif wanted.amount_minor is not None:
        positive = [line for line in chosen if line.left_minor > 0]
        left = sum(line.left_minor for line in positive)
        if wanted.amount_minor > left:
            raise Refused(
                f"{format_minor(left, digits)} net is left to credit there, not "
                f"{format_minor(wanted.amount_minor, digits)}"
            )
        width = max(len(str(line.position)) for line in positive)
        keys = {f"{line.position:0{width}d}": line for line in positive}
        parts = allocate(wanted.amount_minor, [(key, Fraction(line.left_minor)) for key, line in keys.items()])
        found = {line.position: parts[key] for key, line in keys.items()}
    else:
        found = {line.position: line.left_minor for line in chosen}
    found = {position: minor for position, minor in found.items() if minor}
    if not found:
        raise Refused("nothing is left to credit there")
    return found


def _chosen(lines: Sequence[CreditableLine], positions: Collection[int]) -> list[CreditableLine]:
    known = {line.position for line in lines}
    for position in positions:
        if position not in known:
            raise Invalid(f"the invoice has no line {position}; it has {', '.join(map(str, sorted(known)))}")
    return [line for line in lines if not positions or line.position in positions]


def _nearer_zero(left: int, part: int) -> int:
    """The part, but no more than is left; nothing where what is left has the other sign."""
    if (left > 0) != (part > 0):
        return 0
    return min(left, part, key=abs)


def _check_rate(key: Rate, base: int, left: int, digits: int) -> None:
    """Lines may have both signs, so that what is left of a line can be more than is left of its rate."""
    if base and ((base > 0) != (left > 0) or abs(base) > abs(left)):
        raise Refused(
            f"{format_minor(left, digits)} net is left to credit at VAT {key[0]} {exact_text(key[1])} %, not "
            f"{format_minor(base, digits)}"
        )


def _line(line: CreditableLine, minor: int, scale: int) -> CreditedLine:
    """A part of a line; the rest of a line keeps what is left of its exact amount."""
    if not line.shares:
        part = Fraction(minor, line.net_minor)
        return CreditedLine(
            position=line.position, quantity=part, amount=Fraction(minor, scale), net_minor=minor, shares=()
        )
    rests = [share.exact_rest for share in line.shares] if minor == line.left_minor else [None]
    if None in rests:
        shares = _spread(line, minor, scale)
    else:
        shares = [
            CreditedShare(
                schedule_id=share.schedule_id,
                reference=share.reference,
                quantity=quantity,
                amount=amount,
                share_minor=share.left_minor,
            )
            for share, (quantity, amount) in zip(line.shares, filter(None, rests), strict=True)
        ]
    shares = [share for share in shares if share.share_minor or share.amount or share.quantity]
    return CreditedLine(
        position=line.position,
        quantity=exact_sum(share.quantity for share in shares),
        amount=exact_sum(share.amount for share in shares),
        net_minor=minor,
        shares=tuple(shares),
    )


def _spread(line: CreditableLine, minor: int, scale: int) -> list[CreditedShare]:
    order = sorted(line.shares, key=lambda share: (share.reference, share.schedule_id))
    width = len(str(len(order)))
    # Weighed by its own part, a share of the other sign keeps its sign, and none gets more than is left of it.
    part = Fraction(minor, line.left_minor)
    weights = [(f"{rank:0{width}d}", share.left_minor * part) for rank, share in enumerate(order)]
    parts = allocate(minor, weights)
    return [
        CreditedShare(
            schedule_id=share.schedule_id,
            reference=share.reference,
            quantity=share.quantity * Fraction(parts[key], share.share_minor) if share.share_minor else Fraction(0),
            amount=Fraction(parts[key], scale),
            share_minor=parts[key],
        )
        for share, (key, _) in zip(order, weights, strict=True)
    ]
