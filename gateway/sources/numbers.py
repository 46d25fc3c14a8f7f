"""Numbers of messages, exactly: what was written is what is billed, and a conversion of units is one fraction.

The law: no float, and at most one rounding, half away from zero, to the decimals of the metric.
"""

import re
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from fractions import Fraction
from typing import Any

from billing.core.money import round_half_away
from gateway.telemetry import Unreadable

TEXT = re.compile(r"[+-]?(?:\d{1,30})(?:\.\d{1,30})?(?:[eE][+-]?\d{1,2})?", re.ASCII)
"""A number that stands as text, as meters and bridges write it."""
FACTOR = re.compile(r"\d{1,20}(?:\.\d{1,20})?|\d{1,20}/[1-9]\d{0,19}", re.ASCII)
EXPONENT_LIMIT = 60
"""Digits before or behind the point: a quantity has 17, and 1E+999999999 must cost nothing."""
ONE = Fraction(1)
_TRAPS = [Inexact, InvalidOperation, Overflow]
_exactly = Context(prec=60, traps=_TRAPS)


def number(value: Any) -> Decimal | int | None:
    """The number that `value` is or names; None when it is none (a boolean is none, NaN is none)."""
    if value.__class__ is Decimal or value.__class__ is int:
        return value
    if value.__class__ is str and TEXT.fullmatch(value):
        return Decimal(value)
    return None


def add(one: Any, other: Any) -> Decimal | int:
    """Their exact sum. Raises TypeError when one is no number, Unreadable when the sum has too many digits."""
    left, right = number(one), number(other)
    if left is None or right is None:
        raise TypeError("not a number")
    if not left:
        return right
    try:
        return _exactly.add(Decimal(left), Decimal(right)) if right else left
    except (Inexact, InvalidOperation, Overflow):
        raise Unreadable("bad_number", "a sum has more digits than any quantity") from None


def factor(text: str) -> Fraction:
    """The exact factor that `text` names: 0.001, or 1/60000. Raises ValueError."""
    if not FACTOR.fullmatch(text):
        raise ValueError(f'{text!r} is not a factor; write "0.001" or "1/60000"')
    found = Fraction(text)
    if not found:
        raise ValueError("a factor of 0 would make everything free")
    return found


def decimal(exact: Fraction) -> Decimal | None:
    """The decimal number that is exactly this, or None."""
    try:
        return _exactly.divide(Decimal(exact.numerator), Decimal(exact.denominator))
    except Inexact:
        return None


def multiply(value: Decimal | int, by: Decimal) -> Decimal:
    """Their exact product. Raises Unreadable when it has too many digits."""
    try:
        return _exactly.multiply(value, by)
    except (Inexact, InvalidOperation, Overflow):
        raise Unreadable("bad_number", f"{str(value)[:40]} is not a quantity that can be converted") from None


def times(value: Decimal | int, by: Fraction, *, decimals: int, refuse_excess: bool) -> Decimal:
    """`value` times `by`, exactly; rounded to `decimals` only where no decimal number says it exactly.

    Raises Unreadable when the metric refuses more digits than it has.
    """
    exact_value = Decimal(value)
    if not exact_value.is_finite() or abs(exact_value.adjusted()) > EXPONENT_LIMIT:
        raise Unreadable("bad_number", f"{str(value)[:40]} is not a quantity that can be converted")
    try:
        return _exactly.divide(_exactly.multiply(exact_value, by.numerator), by.denominator)
    except (Inexact, InvalidOperation, Overflow):
        product = Fraction(exact_value) * by * 10**decimals
        if refuse_excess and product.denominator != 1:
            raise Unreadable(
                "bad_number", f"{value} times {by} has more than {decimals} decimals, and the metric refuses them"
            ) from None
        return Decimal(round_half_away(product)).scaleb(-decimals)
