"""Properties of usage: what a value says beside how much (zone, tariff, direction), as texts that compare alike.

The law: a set of properties has one canonical text; two sets are the same where their texts are.
"""

import json
from collections.abc import Mapping
from decimal import Decimal

from billing.core.errors import Invalid

PROPERTIES_MAX = 20
"""Properties of one sample: more is a document, which billing cannot read."""
NAME_MAX = 100
VALUE_MAX = 200
"""Characters of a name and of a value: both may stand on an invoice line."""
DIGITS_MAX = 40
"""Digits of a number that is a property: a code, not a measurement."""
REGISTER = "register"
"""The property of a reading that says which register it is of: another value is another register."""

Properties = Mapping[str, str]


def property_text(value: object) -> str:
    """The value of a property as text: `7` (also for 7.0 and 70e-1), `true`, `night`; nothing is the empty text."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case Decimal():
            return _number_text(value)
        case None:
            return ""
        case _:
            return str(value)


def _number_text(number: Decimal) -> str:
    # The exponent is looked at before a digit is written: 1E+999999999 must cost nothing.
    if not number.is_finite() or abs(number.adjusted()) > DIGITS_MAX or len(number.as_tuple().digits) > DIGITS_MAX:
        raise Invalid(f"the number {str(number)[:60]} has more than {DIGITS_MAX} digits; send it as a text")
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def checked_properties(given: object) -> dict[str, str]:
    """The properties as texts, in order of name. Raises Invalid for what is no flat mapping of plain values."""
    if not isinstance(given, Mapping):
        raise Invalid(f'`properties` is {_shown(given)}; it should be a JSON object, such as {{"zone": "night"}}')
    if len(given) > PROPERTIES_MAX:
        raise Invalid(f"{len(given)} properties on one sample; send at most {PROPERTIES_MAX}")
    return {name: _checked_value(name, given[name]) for name in sorted(given, key=_checked_name)}


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not 1 <= len(name) <= NAME_MAX or not name.isprintable():
        raise Invalid(f"the property {_shown(name)} should have a name of 1 to {NAME_MAX} printable characters")
    return name


def _checked_value(name: str, value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value) if abs(value) < 10**DIGITS_MAX else Decimal("Infinity")
    if not isinstance(value, str | bool | Decimal):
        raise Invalid(f"the property {name!r} is {_shown(value)}; it should be a text, a number, true or false")
    try:
        text = property_text(value)
    except Invalid as error:
        raise Invalid(f"the property {name!r}: {error.message}") from None
    if len(text) > VALUE_MAX or not text.isprintable():
        raise Invalid(
            f"the property {name!r} is {_shown(value)}; it should have at most {VALUE_MAX} printable characters"
        )
    return text


def canonical(properties: Properties) -> str:
    """The one text of a set of properties: JSON, names in order; the empty text for none."""
    if not properties:
        return ""
    return json.dumps(dict(sorted(properties.items())), ensure_ascii=False, separators=(",", ":"))


def _shown(value: object) -> str:
    return repr(value)[:80]
