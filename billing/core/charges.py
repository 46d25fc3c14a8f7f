"""The priced parts of a plan, read from their catalogue form; what is not understood is refused, never ignored."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar, cast, get_args

from billing.core.errors import Invalid
from billing.core.prices import Flat, Graduated, PerUnit, Price, Tier
from billing.core.usage import Aggregation

Timing = Literal["advance", "arrears"]
Prorate = Literal["day", "none"]
WhileSuspended = Literal["stop", "charge"]
MONTHS_BY_WORD: Mapping[str, int] = MappingProxyType({"month": 1, "quarter": 3, "semester": 6, "year": 12})
VAT_CATEGORIES = ("S", "Z", "E", "AE", "K", "G", "O", "L", "M")
"""UNCL5305 in EN 16931: standard, zero, exempt, reverse charge, intra-community, export, outside, IGIC, IPSI."""
VAT_CATEGORIES_AT_ZERO = frozenset({"Z", "E", "AE", "K", "G", "O"})
NUMBER = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")
T = TypeVar("T", bound=str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurring:
    """A fee: `amount` in major units for each whole period of `months` months; `vat_rate` in percent."""

    name: str
    amount: Fraction
    months: int
    timing: Timing = "arrears"
    prorate: Prorate = "day"
    while_suspended: WhileSuspended = "stop"
    vat_rate: Fraction
    vat_category: str = "S"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A price on what was measured of `metric` over `months` months, in arrears; `vat_rate` in percent."""

    timing: ClassVar[Timing] = "arrears"
    name: str
    months: int
    metric: str
    aggregation: Aggregation
    price: Price
    vat_rate: Fraction
    vat_category: str = "S"


Charge: TypeAlias = Recurring | Usage


def charge_from(definition: Mapping[str, Any]) -> Charge:
    """The charge that a catalogue entry (parsed YAML or JSON) declares.

    Amounts, quantities and rates are strings or integers, never floats. Raises Invalid naming the key, the value
    and what it should be.
    """
    kind = definition.get("type")
    common = {"name", "type", "every", "timing", "vat_rate", "vat_category"}
    match kind:
        case "recurring":
            _only(definition, common | {"amount", "prorate", "while_suspended"}, "a recurring charge")
        case "usage":
            _only(definition, common | {"calculator"}, "a usage charge")
        case _:
            raise Invalid(f"type is {kind!r}; it should be recurring or usage")
    name = _text(definition, "name")
    months = MONTHS_BY_WORD[_word(definition, "every", tuple(MONTHS_BY_WORD))]
    timing: Timing = _word(definition, "timing", get_args(Timing), "arrears")
    vat_category, vat_rate = _vat(definition)
    if kind == "recurring":
        return Recurring(
            name=name,
            amount=_number(definition, "amount"),
            months=months,
            timing=timing,
            prorate=_word(definition, "prorate", get_args(Prorate), "day"),
            while_suspended=_word(definition, "while_suspended", get_args(WhileSuspended), "stop"),
            vat_rate=vat_rate,
            vat_category=vat_category,
        )
    if timing != "arrears":
        raise Invalid("timing is 'advance', but usage is known only in arrears; remove it or write arrears")
    calculator = _mapping(definition, "calculator")
    _only(calculator, {"metric", "aggregation", "price"}, "a calculator")
    return Usage(
        name=name,
        months=months,
        metric=_text(calculator, "metric"),
        aggregation=_word(calculator, "aggregation", get_args(Aggregation), "sum"),
        price=price_from(_mapping(calculator, "price")),
        vat_rate=vat_rate,
        vat_category=vat_category,
    )


def price_from(definition: Mapping[str, Any]) -> Price:
    """The price that a catalogue entry declares; raises Invalid as `charge_from` does."""
    match definition.get("model"):
        case "flat":
            _only(definition, {"model", "amount"}, "a flat price")
            return Flat(amount=_number(definition, "amount"))
        case "per_unit":
            _only(definition, {"model", "unit_price", "included"}, "a per_unit price")
            return PerUnit(unit_price=_number(definition, "unit_price"), included=_number(definition, "included", "0"))
        case "graduated":
            _only(definition, {"model", "tiers", "charge_zero"}, "a graduated price")
            charge_zero = definition.get("charge_zero", False)
            if not isinstance(charge_zero, bool):
                raise Invalid(f"charge_zero is {charge_zero!r}; it should be true or false")
            return Graduated(tiers=_tiers(definition.get("tiers")), charge_zero=charge_zero)
        case other:
            raise Invalid(f"model is {other!r}; it should be flat, per_unit or graduated")


def _tiers(tiers: object) -> tuple[Tier, ...]:
    if not isinstance(tiers, Sequence) or isinstance(tiers, str):
        raise Invalid(f"tiers is {tiers!r}; it should be a list of tiers")
    parsed = []
    for tier in tiers:
        if not isinstance(tier, Mapping):
            raise Invalid(f"a tier is {tier!r}; it should have up_to, unit_price and flat_fee")
        _only(tier, {"up_to", "unit_price", "flat_fee"}, "a tier")
        parsed.append(
            Tier(
                up_to=None if tier.get("up_to") is None else _number(tier, "up_to"),
                unit_price=_number(tier, "unit_price", "0"),
                flat_fee=_number(tier, "flat_fee", "0"),
            )
        )
    return tuple(parsed)


def _vat(definition: Mapping[str, Any]) -> tuple[str, Fraction]:
    """Category and rate that agree (EN 16931, BR-S-5, BR-Z-5, BR-E-5, BR-AE-5, BR-IC-5, BR-G-5, BR-O-5)."""
    category = _word(definition, "vat_category", VAT_CATEGORIES, "S")
    rate = _number(definition, "vat_rate")
    if rate > 100:  # noqa: PLR2004 - percent
        raise Invalid(f"vat_rate is {definition['vat_rate']!r}; it is a percentage, at most 100")
    if category in VAT_CATEGORIES_AT_ZERO and rate:
        raise Invalid(f"vat_category {category} has no VAT; vat_rate should be 0, not {definition['vat_rate']!r}")
    if category == "S" and not rate:
        raise Invalid("vat_category S has a rate above 0; for a rate of 0 write Z, E, AE, K, G or O")
    return category, rate


def _only(definition: Mapping[str, Any], known: set[str], owner: str) -> None:
    unknown = sorted(str(key) for key in definition if key not in known)
    if unknown:
        raise Invalid(f"{owner} has no key {', '.join(unknown)}; it has {', '.join(sorted(known))}")


def _mapping(definition: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = definition.get(key)
    if not isinstance(value, Mapping):
        raise Invalid(f"{key} is {value!r}; it should be a mapping of keys to values")
    return value


def _text(definition: Mapping[str, Any], key: str) -> str:
    value = definition.get(key)
    if not isinstance(value, str) or not value.strip():
        raise Invalid(f"{key} is {value!r}; it should be a text that is not empty")
    return value


def _word(definition: Mapping[str, Any], key: str, words: tuple[T, ...], default: T | None = None) -> T:
    value = definition.get(key, default)
    if value not in words:
        raise Invalid(f"{key} is {value!r}; it should be {' or '.join(words)}")
    return cast("T", value)


def _number(definition: Mapping[str, Any], key: str, default: str | None = None) -> Fraction:
    value = definition.get(key, default)
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not NUMBER.fullmatch(text):
        raise Invalid(f'{key} is {value!r}; it should be a text or an integer, not negative, for example "2.50"')
    return Fraction(text)
