"""What calls of one object or of a pool are worth, told over from nothing: the auditor's reading of a price list.

The law: it shares no code with the engine, looks at one call after the other, and prefers plain to quick.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any, NamedTuple


class Call(NamedTuple):
    """One call as it counts: when, whose, how much, and its zone if it says one."""

    at: datetime
    reference: str
    value: Fraction
    zone: str | None


def worth(
    charge: Mapping[str, Any],
    calls: Iterable[Call],
    part: Fraction,
    items: Fraction,
    *,
    level: Fraction | None = None,
) -> Fraction:
    """The amount of one period; `part` is what was served of it, `items` how many items bring their own limits.

    A `level` is the quantity of a charge that is about time.
    """
    calculator = charge["calculator"]
    wanted = calculator.get("filter")
    calls = sorted(call for call in calls if wanted is None or call.zone in wanted["zone"])
    if level is not None:
        amount = _price(calculator["price"], level, calls, Fraction(1))
    elif "by" in calculator:
        zones = {call.zone for call in calls}
        amount = sum((_zone(calculator, [call for call in calls if call.zone == zone]) for zone in zones), Fraction(0))
    else:
        brought = items if charge.get("limits") == "item" else Fraction(1)
        amount = _price(calculator["price"], _measure(calculator, calls), calls, brought)
    return bounded(charge, amount, part)


def bounded(charge: Mapping[str, Any], amount: Fraction, part: Fraction) -> Fraction:
    """What a whole charge's terms make of an amount: times, less, at most, at least."""
    amount *= Fraction(charge.get("multiplier", "1"))
    if "discount" in charge and "periods" not in charge["discount"]:
        amount -= amount * Fraction(charge["discount"]["percent"]) / 100
    if "maximum" in charge:
        amount = min(amount, Fraction(charge["maximum"]) * part)
    if "minimum" in charge:
        amount = max(amount, Fraction(charge["minimum"]) * part)
    return amount


def _zone(calculator: Mapping[str, Any], calls: Sequence[Call]) -> Fraction:
    prices = calculator["prices"]
    price = prices.get(calls[0].zone, prices.get("default"))
    return Fraction(0) if price is None else _price(price, _measure(calculator, calls), calls, Fraction(1))


def _measure(calculator: Mapping[str, Any], calls: Sequence[Call]) -> Fraction:
    convert = calculator.get("convert", {})
    values = [_converted(convert, call.value) if convert.get("per") == "record" else call.value for call in calls]
    if not values:
        return Fraction(0)
    match calculator.get("aggregation", "sum"):
        case "sum":
            found = sum(values, Fraction(0))
        case "mean":
            found = sum(values, Fraction(0)) / len(values)
        case "percentile":
            found = sorted(values)[-(-len(values) * calculator["percentile"] // 100) - 1]
        case "unique_count":
            found = Fraction(len({call.zone for call in calls} - {None}))
        case kind:
            last, count = values[-1], Fraction(len(values))
            found = {"max": max(values), "min": min(values), "count": count, "latest": last}[kind]
    return _converted(convert, found) if convert.get("per") == "period" else found


def _converted(convert: Mapping[str, Any], value: Fraction) -> Fraction:
    units = value / Fraction(convert["divide_by"])
    down = Fraction(units.numerator // units.denominator)
    half = Fraction(1, 2)
    more = {"down": False, "up": units > down, "half_up": units - down >= half}[convert["round"]]
    return down + 1 if more else down


def _price(price: Mapping[str, Any], quantity: Fraction, calls: Sequence[Call], brought: Fraction) -> Fraction:
    match price["model"]:
        case "per_unit":
            free = Fraction(price.get("included", "0")) * brought
            return max(quantity - free, Fraction(0)) * Fraction(price["unit_price"])
        case "percentage":
            return _percentage(price, calls)
        case _:
            return price_of(price, quantity)


def price_of(price: Mapping[str, Any], quantity: Fraction) -> Fraction:
    """What a quantity costs by itself."""
    if not quantity and not price.get("charge_zero", True):
        return Fraction(0)
    match price["model"]:
        case "flat":
            amount = Fraction(price["amount"])
        case "per_unit":
            amount = _price(price, quantity, (), Fraction(1))
        case "graduated" | "graduated_percentage":
            amount = _graduated(price, quantity)
        case "volume":
            tier = _reached(price["tiers"], quantity)
            amount = quantity * Fraction(tier["unit_price"]) + Fraction(tier.get("flat_fee", "0"))
        case "stairstep" | "capacity":
            amount = Fraction(_reached(price["steps"], quantity)["amount"])
        case "package":
            packages = max(quantity - Fraction(price["free_units"]), Fraction(0)) / Fraction(price["size"])
            whole = packages.numerator // packages.denominator
            amount = Fraction(price["price"]) * (whole + 1 if price["round"] == "up" and packages > whole else whole)
        case "dynamic":
            amount = quantity * (Fraction(price.get("multiplier", "1")) + Fraction(price.get("markup", "0")) / 100)
        case other:
            raise ValueError(f"the auditor knows no price {other}")
    return amount


def _reached(levels: Sequence[Mapping[str, Any]], quantity: Fraction) -> Mapping[str, Any]:
    return next(it for it in levels if it["up_to"] is None or quantity <= Fraction(it["up_to"]))


def _graduated(price: Mapping[str, Any], quantity: Fraction) -> Fraction:
    first, second = price["tiers"]
    bound = Fraction(first["up_to"])
    amount = Fraction(first["flat_fee"]) + min(quantity, bound) * _each(first)
    if quantity > bound:
        amount += Fraction(second.get("flat_fee", "0")) + (quantity - bound) * _each(second)
    return amount


def _each(tier: Mapping[str, Any]) -> Fraction:
    return Fraction(tier["unit_price"]) if "unit_price" in tier else Fraction(tier["rate"]) / 100


def _percentage(price: Mapping[str, Any], calls: Sequence[Call]) -> Fraction:
    """Call by call, in the order of time: what is free of it, then its percentage, fee and limits."""
    left_events, left_total = price.get("free_events"), price.get("free_total")
    open_total = None if left_total is None else Fraction(left_total)
    anything_free = left_events is not None or open_total is not None
    amount = Fraction(0)
    for call in calls:
        charged = call.value
        if anything_free:
            free = call.value if open_total is None else min(call.value, open_total)
            charged -= free
            if open_total is not None:
                open_total -= free
            if left_events is not None:
                left_events -= 1
            if not charged:
                anything_free = left_events != 0
                continue
            anything_free = False
        cost = charged * Fraction(price["rate"]) / 100 + Fraction(price.get("fixed_fee", "0"))
        if "minimum" in price:
            cost = max(cost, Fraction(price["minimum"]))
        if "maximum" in price:
            cost = min(cost, Fraction(price["maximum"]))
        amount += cost
    return amount
