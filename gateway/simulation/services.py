"""More of a simulated world: calls with properties, and the charges on them that look at more than totals.

The law: a chance of its own decides it, so that the rest of a seed's history stays as it is. What is owed at the end
of a history does not depend on when a threshold was looked at, so the looks are only instants.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

CALLS = {"name": "calls", "unit": "call", "kind": "delta", "decimals": 2}
LOOKS_UNTIL = datetime(2024, 4, 20, tzinfo=UTC)
Charge = dict[str, Any]


def charges(chance: random.Random) -> list[Charge]:
    """A few charges on calls, for one plan or more."""
    known = (_zones, _nights, _payments, _fleet, _fleet_payments, _early, _platform)
    return [make(chance) for make in chance.sample(known, chance.randrange(1, 4))]


def _usage(chance: random.Random, name: str, calculator: Mapping[str, Any], **more: Any) -> Charge:
    every = chance.choice(("month", "month", "quarter"))
    return {
        "name": name,
        "type": "usage",
        "every": every,
        "vat_rate": "20",
        "calculator": {"metric": "calls", **calculator},
        **more,
    }


def _per_unit(chance: random.Random, *, included: Sequence[str] = ("0", "3")) -> dict[str, Any]:
    return {"model": "per_unit", "unit_price": chance.choice(("0.5", "1.25")), "included": chance.choice(included)}


def _graduated(chance: random.Random) -> dict[str, Any]:
    tiers = [
        {"up_to": chance.choice(("4", "20.5")), "unit_price": "1", "flat_fee": chance.choice(("0", "1.5"))},
        {"up_to": None, "unit_price": "0.25", "flat_fee": "0"},
    ]
    return {"model": "graduated", "charge_zero": chance.choice((True, False)), "tiers": tiers}


def _percentage(chance: random.Random) -> dict[str, Any]:
    may = {"fixed_fee": "0.25", "free_total": "40", "minimum": "0.3", "maximum": "0.7"}
    price: dict[str, Any] = {"model": "percentage", "rate": "1.5"}
    price |= {key: said for key, said in may.items() if chance.random() < 0.5}  # noqa: PLR2004 - a coin
    if chance.random() < 0.5:  # noqa: PLR2004 - a coin
        price["free_events"] = chance.choice((1, 3))
    return price


def _scope(chance: random.Random) -> str:
    return chance.choice(("subscription", "contract"))


def _zones(chance: random.Random) -> Charge:
    prices = {"night": _per_unit(chance), "day": _graduated(chance)}
    if chance.random() < 0.5:  # noqa: PLR2004 - a coin
        prices["default"] = _per_unit(chance)
    kind = chance.choice(("sum", "sum", "max", "count"))
    return _usage(
        chance,
        "Zones",
        {"aggregation": kind, "by": "zone", "prices": prices},
        usage_while_suspended=chance.choice(("bill", "ignore")),
    )


def _nights(chance: random.Random) -> Charge:
    kind = chance.choice(("sum", "count", "max", "min", "mean"))
    bounds = chance.choice(({}, {"minimum": "4"}, {"maximum": "9"}, {"minimum": "2", "maximum": "12"}))
    return _usage(
        chance,
        "Nights",
        {"aggregation": kind, "filter": {"zone": ["night", "dusk"]}, "price": _per_unit(chance)},
        **bounds,
    )


def _payments(chance: random.Random) -> Charge:
    suspended = chance.choice(("bill", "ignore"))
    return _usage(chance, "Payments", {"price": _percentage(chance)}, usage_while_suspended=suspended)


def _fleet(chance: random.Random) -> Charge:
    price = _per_unit(chance, included=("5", "20"))
    limits = chance.choice(("pool", "item"))
    return _usage(chance, "Fleet", {"price": price}, scope=_scope(chance), limits=limits)


def _fleet_payments(chance: random.Random) -> Charge:
    return _usage(chance, "Fleet payments", {"price": _percentage(chance)}, scope=_scope(chance))


def _early(chance: random.Random) -> Charge:
    scope = chance.choice(("item", "item", "subscription"))
    price = chance.choice((_per_unit(chance), _graduated(chance), _percentage(chance)))
    bounds = chance.choice(({}, {"maximum": "30"}))
    return _usage(chance, "Early", {"price": price}, scope=scope, threshold=chance.choice(("2", "10")), **bounds)


def _platform(chance: random.Random) -> Charge:
    return {
        "name": "Platform",
        "type": "recurring",
        "every": chance.choice(("month", "quarter")),
        "timing": chance.choice(("advance", "arrears")),
        "amount": "31",
        "vat_rate": "20",
        "scope": _scope(chance),
    }


def coupons(chance: random.Random) -> list[dict[str, Any]]:
    """What a contract has off its invoices."""
    found = []
    for name, subscription in (("Welcome", None), ("Loyal", "Plan 0")):
        if chance.random() < 0.3:  # noqa: PLR2004 - some
            coupon: dict[str, Any] = {"name": name, "amount": chance.choice(("5", "33.33", "400"))}
            coupon |= chance.choice(({}, {"periods": 2}, {"periods": 3, "rest": "drop"}, {"starts_on": "2024-01-10"}))
            found.append(coupon | ({} if subscription is None else {"subscription": subscription}))
    return found


def properties(chance: random.Random) -> dict[str, str]:
    """What a call says of itself."""
    zone = chance.choice(("night", "day", "day", "dusk", None))
    return {} if zone is None else {"zone": zone}


def value(chance: random.Random) -> Decimal:
    """How much a call is: an amount of money where a percentage is on it."""
    return Decimal(chance.randrange(0, 3000)) / 100


def looks(chance: random.Random, first: datetime) -> Iterator[datetime]:
    """When somebody looks for what has passed its threshold."""
    at = first
    while at < LOOKS_UNTIL:
        at += timedelta(hours=chance.randrange(5, 24 * 12))
        yield at
