"""Exact amounts, the one rounding, and the parts of a rounded whole: parts always add up to their whole."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import lcm
from operator import itemgetter
from types import MappingProxyType

from billing.core.errors import Invalid

_CODES_BY_DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE "
    "CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL "
    "HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR "
    "MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK "
    "SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD "
    "XCG YER ZAR ZMW ZWG",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
MINOR_DIGITS = MappingProxyType({code: digits for digits, codes in _CODES_BY_DIGITS.items() for code in codes.split()})
"""Decimals of each currency's minor unit (ISO 4217, list one)."""


def minor_digits(currency: str) -> int:
    """Decimals of the currency's minor unit: 2 for EUR, 0 for JPY, 3 for KWD. Raises Invalid for an unknown code."""
    try:
        return MINOR_DIGITS[currency]
    except KeyError:
        raise Invalid(
            f"currency {currency!r} is not an ISO 4217 code; write three capital letters, for example EUR"
        ) from None


def round_half_away(x: Fraction) -> int:
    """The nearest integer, halves away from zero: what invoices do, and the same for a debit and its credit."""
    magnitude = (2 * abs(x.numerator) + x.denominator) // (2 * x.denominator)
    return magnitude if x >= 0 else -magnitude


def to_minor(amount: Fraction, currency: str) -> int:
    """An exact amount in the currency's minor units, rounded once. Raises Invalid for an unknown currency."""
    return round_half_away(amount * 10 ** minor_digits(currency))


def format_minor(minor: int, digits: int) -> str:
    """Minor units as a plain decimal: 3000 with 2 digits is "30.00", -5 is "-0.05"."""
    if not digits:
        return str(minor)
    sign = "-" if minor < 0 else ""
    text = str(abs(minor)).zfill(digits + 1)
    return f"{sign}{text[:-digits]}.{text[-digits:]}"


def exact_text(value: Fraction) -> str:
    """The shortest exact text: "2.5" where a finite decimal exists, else "22/31"."""
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return str(value)
    digits = max(twos, fives)
    return format_minor((value * 10**digits).numerator, digits)


def exact_sum(values: Iterable[Fraction]) -> Fraction:
    """The exact sum, added up as integers over one denominator: a fleet's shares cost no fraction each."""
    numerators: dict[int, int] = {}
    for value in values:
        numerators[value.denominator] = numerators.get(value.denominator, 0) + value.numerator
    common = lcm(*numerators)
    return Fraction(sum(numerator * (common // denominator) for denominator, numerator in numerators.items()), common)


def allocate(total: int, weights: Sequence[tuple[str, Fraction]]) -> dict[str, int]:
    """Integer parts of `total` by weight, by largest remainder, ties by key; the parts add up to `total`.

    Weights of one sign are proportions. Weights of both signs (a line whose adjustments go both ways), or all
    zero, have no proportion: each is then its own part's exact worth, and only what rounding leaves is spread.
    Parts cut toward zero keep a credit the mirror of its invoice. Raises Invalid for a key given twice, and for a
    total other than zero without parts.
    """
    keys = [key for key, _ in weights]
    if len(set(keys)) != len(keys):
        raise Invalid(f"each part of {total} needs a key of its own, but a key was given twice")
    ordered = sorted(weights, key=itemgetter(0))
    parts = dict(zip((key for key, _ in ordered), spread(total, [weight for _, weight in ordered]), strict=True))
    return {key: parts[key] for key in keys}


def spread(total: int, weights: Sequence[Fraction], scale: int = 1) -> list[int]:
    """The parts of `allocate` for `scale` times the weights, in the order of their keys; all in integers."""
    if not weights:
        if total:
            raise Invalid(f"there are no parts to spread {total} over")
        return []
    common = lcm(*{weight.denominator for weight in weights})
    return spread_scaled(
        total, [scale * weight.numerator * (common // weight.denominator) for weight in weights], common
    )


def spread_scaled(total: int, scaled: Sequence[int], common: int) -> list[int]:
    """The parts of `spread` for weights that are integers over one denominator; there is at least one."""
    if min(scaled) >= 0 < max(scaled) or max(scaled) <= 0 > min(scaled):
        common = abs(sum(scaled))
        sign = 1 if scaled[0] > 0 or max(scaled) > 0 else -1
        factor = sign * total
        scaled = [value * factor for value in scaled]
    # Each worth is scaled / common; cut toward zero, as floor division of the magnitude is.
    parts = [value // common if value >= 0 else -(-value // common) for value in scaled]
    rest = total - sum(parts)
    if not rest:
        return parts
    step = 1 if rest > 0 else -1
    lost = [step * (part * common - value) for value, part in zip(scaled, parts, strict=True)]
    every, more = divmod(abs(rest), len(parts))
    if every:
        parts = [part + step * every for part in parts]
    for place in sorted(range(len(parts)), key=lost.__getitem__)[:more]:
        parts[place] += step
    return parts
