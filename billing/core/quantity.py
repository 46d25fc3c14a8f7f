"""Quantities at the door: a number becomes an integer scaled by the metric's decimals, rounded at most once."""

from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from fractions import Fraction
from typing import Literal

from billing.core.errors import Invalid
from billing.core.money import round_half_away

DIGITS_LIMIT = 60
"""Of a number that is given, before or after the point: far above any reading."""
TEXT_LIMIT = 130
"""Characters of a number that is given."""
QUANTITY_LIMIT = 10**17
"""Largest scaled quantity of one record, so that a day's sums fit 64 bits."""

Excess = Literal["round", "refuse"]
_TRAPS = (Inexact, InvalidOperation, Overflow)
_multiply = Context(prec=28, traps=list(_TRAPS)).multiply
_POWERS = tuple(Decimal(10**decimals) for decimals in range(10))
_SHORT = 28
"""Characters of a number whose digits are looked at as they stand."""


def number_of(text: str) -> Decimal:
    """The number that a text writes in ASCII digits.

    Raises Invalid for anything else, and for what is beyond all measure: 1E+999999999 must not be written out.
    """
    try:
        number = Decimal(text) if text.isascii() and "_" not in text else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise Invalid(f"{text[:TEXT_LIMIT]!r} is not a number")
    if abs(number.adjusted()) > DIGITS_LIMIT or len(text) > TEXT_LIMIT:
        raise Invalid(f"{text[:TEXT_LIMIT]!r} is not a number of at most {DIGITS_LIMIT} digits")
    return number


def scale(value: Decimal | int, decimals: int, excess: Excess) -> int:
    """`parse_quantity`, without its fractions for a number of few digits that needs no rounding."""
    if value.__class__ is Decimal:
        try:
            product = _multiply(value, _POWERS[decimals])
        except _TRAPS:
            return parse_quantity(value, decimals, excess)
        # Compared before it is made an integer: 1E+999999999 must cost nothing.
        if -QUANTITY_LIMIT <= product <= QUANTITY_LIMIT:
            scaled = int(product)
            if scaled == product:
                return scaled
    return parse_quantity(value, decimals, excess)


def scale_text(text: bytes, decimals: int, excess: Excess) -> int:
    """`parse_quantity` of a value as it stands in JSON that a decoder has checked; mostly its digits are the answer's.

    Raises Invalid for one that is not a number, and as `parse_quantity` does.
    """
    whole, _, fraction = text.partition(b".")
    if len(fraction) <= decimals and len(text) <= _SHORT:
        try:
            scaled: int = int(whole + fraction) * 10 ** (decimals - len(fraction))
        except ValueError:
            pass  # with an exponent, or no number
        else:
            if -QUANTITY_LIMIT <= scaled <= QUANTITY_LIMIT:
                return scaled
    return scale(number_of(text.decode()), decimals, excess)


def parse_quantity(value: Decimal | int, decimals: int, excess: Excess) -> int:
    """`value` times ten to the power of `decimals`; more digits are rounded half away from zero, or refused.

    Raises Invalid for NaN, an infinity, a boolean, digits in excess when they are to be refused, and a scaled
    value beyond plus or minus 10**17.
    """
    if isinstance(value, bool):
        raise Invalid(f"a quantity is a number, got {value}", code="invalid_quantity")
    number = Decimal(value)
    if not number.is_finite():
        raise Invalid(f"a quantity is a finite number, got {number}", code="invalid_quantity")
    if not number:
        return 0
    # Exponents are checked before any power of ten is computed: 1E+999999999 must cost nothing.
    magnitude = number.adjusted() + decimals
    if magnitude > len(str(QUANTITY_LIMIT)):
        raise _too_large(number, decimals)
    tiny = magnitude < -1
    exact = Fraction(0) if tiny else Fraction(number) * 10**decimals
    if excess == "refuse" and (tiny or exact.denominator != 1):
        raise Invalid(
            f"quantity {number} has more than {decimals} decimals; send fewer digits or let the metric round",
            code="excess_digits",
        )
    scaled = round_half_away(exact)
    if abs(scaled) > QUANTITY_LIMIT:
        raise _too_large(number, decimals)
    return scaled


def unscale(scaled: int, decimals: int) -> Fraction:
    """The exact quantity behind a scaled integer: 12500000 with 6 decimals is 25/2."""
    return Fraction(scaled, 10**decimals)


def _too_large(number: Decimal, decimals: int) -> Invalid:
    return Invalid(
        f"quantity {number} is too large: with {decimals} decimals the limit is 1E+{17 - decimals}; "
        "give the metric fewer decimals or a larger unit",
        code="quantity_too_large",
    )
