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


def worth(charge: Mapping[str, Any], calls: Iterable[Call], part: Fraction, items: Fraction) -> Fraction:
    """The amount of one period; `part` is what was served of it, `items` how many items bring their own limits."""
    calculator = charge["calculator"]
    wanted = calculator.get("filter")
    calls = sorted(call for call in calls if wanted is None or call.zone in wanted["zone"])
    if "by" in calculator:
        zones = {call.zone for call in calls}
        amount = sum((_zone(calculator, [call for call in calls if call.zone == zone]) for zone in zones), Fraction(0))
    else:
        brought = items if charge.get("limits") == "item" else Fraction(1)
        amount = _price(calculator["price"], _measure(calculator, calls), calls, brought)
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
    values = [call.value for call in calls]
    kind = calculator.get("aggregation", "sum")
    if not values:
        return Fraction(0)
    if kind == "sum":
        return sum(values, Fraction(0))
    if kind == "mean":
        return sum(values, Fraction(0)) / len(values)
    return {"max": max(values), "min": min(values), "count": Fraction(len(values))}[kind]


def _price(price: Mapping[str, Any], quantity: Fraction, calls: Sequence[Call], brought: Fraction) -> Fraction:
    match price["model"]:
        case "per_unit":
            free = Fraction(price["included"]) * brought
            return max(quantity - free, Fraction(0)) * Fraction(price["unit_price"])
        case "graduated":
            return _graduated(price, quantity)
        case "percentage":
            return _percentage(price, calls)
        case other:
            raise ValueError(f"the auditor knows no price {other}")


def _graduated(price: Mapping[str, Any], quantity: Fraction) -> Fraction:
    first, second = price["tiers"]
    if not quantity:
        return Fraction(first["flat_fee"]) if price["charge_zero"] else Fraction(0)
    bound = Fraction(first["up_to"])
    amount = Fraction(first["flat_fee"]) + min(quantity, bound) * Fraction(first["unit_price"])
    if quantity > bound:
        amount += Fraction(second["flat_fee"]) + (quantity - bound) * Fraction(second["unit_price"])
    return amount


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
