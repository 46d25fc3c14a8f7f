"""Still more of a simulated world's price lists: every other price model and aggregation, fees of every rhythm.

The law: a chance of its own decides it, so that the rest of a seed's history stays as it is; only the catalogue's words
are here, what they are worth is the auditor's to say.
"""

import random
from typing import Any

Charge = dict[str, Any]
TIERS = [{"up_to": "1", "unit_price": "3", "flat_fee": "0.5"}, {"up_to": None, "unit_price": "2"}]
CURRENCIES = ("EUR", "EUR", "EUR", "JPY", "KWD")
"""With two decimals, with none, and with three."""


def charges(chance: random.Random) -> list[Charge]:
    """A few charges, for one plan or more."""
    known = (_steps, _steps, _rent, _rent, _events, _levels, _set_up)
    made = {charge["name"]: charge for charge in (make(chance) for make in chance.sample(known, 3))}
    return list(made.values())


def in_currency(coupon: dict[str, Any], currency: str) -> dict[str, Any]:
    """A coupon whose amount has the digits of a currency."""
    whole, _, rest = coupon["amount"].partition(".")
    return {**coupon, "amount": {"EUR": coupon["amount"], "JPY": whole, "KWD": f"{whole}.{rest or 0}3"}[currency]}


def _price(chance: random.Random) -> dict[str, Any]:
    bound = chance.choice(("6", "20.5"))
    zero = chance.choice(({}, {"charge_zero": False}))
    tiers = [{"up_to": bound, "unit_price": "1.10", "flat_fee": "2"}, {"up_to": None, "unit_price": "0.7"}]
    rates = [{"up_to": bound, "rate": "3", "flat_fee": "1.5"}, {"up_to": None, "rate": "1.3"}]
    steps = [{"up_to": bound, "amount": "5"}, {"up_to": "60", "amount": "12.5"}, {"up_to": None, "amount": "30"}]
    prices: tuple[dict[str, Any], ...] = (
        {"model": "flat", "amount": "4.2"},
        {"model": "volume", "tiers": tiers, **zero},
        {"model": "stairstep", "steps": steps, **zero},
        {"model": "package", "size": "7", "price": "3", "free_units": "5", "round": chance.choice(("up", "down"))},
        {"model": "graduated_percentage", "tiers": rates, **zero},
        {"model": "dynamic", **chance.choice(({}, {"multiplier": "1.2"}, {"markup": "12.5"}))},
    )
    return chance.choice(prices)


def _steps(chance: random.Random) -> Charge:
    kind = chance.choice(("sum", "sum", "count", "max", "latest", "percentile", "unique_count"))
    calculator: dict[str, Any] = {"metric": "calls", "aggregation": kind, "price": _price(chance)}
    more: Charge = {}
    if kind == "unique_count":
        calculator["property"] = "zone"
    if kind == "percentile":
        calculator["percentile"] = chance.choice((95, 75))
    of_money = calculator["price"]["model"] in {"graduated_percentage", "dynamic"}
    if kind == "sum" and not of_money and chance.random() < 0.5:  # noqa: PLR2004 - a coin
        per = chance.choice(("period", "record"))
        calculator["convert"] = {"divide_by": "3", "round": chance.choice(("up", "down", "half_up")), "per": per}
    if kind == "max":
        steps = [{"up_to": "9", "amount": "7"}, {"up_to": None, "amount": "15.5"}]
        calculator["price"] = {"model": "capacity", "steps": steps}
    if kind in {"sum", "count"} and "convert" not in calculator:
        more["scope"] = chance.choice(("item", "item", "subscription", "contract"))
    if more.get("scope", "item") == "item":
        more["usage_while_suspended"] = chance.choice(("bill", "ignore", "report"))
    more |= chance.choice(({}, {"multiplier": "1.5"}, {"discount": {"percent": "15"}}, {"minimum": "3"}))
    return _charge(chance, "Steps", "usage", calculator=calculator, **more)


def _rent(chance: random.Random) -> Charge:
    more = chance.choice(
        (
            {"prorate": "day", "while_suspended": {"model": "reduced", "amount": "6"}},
            {"prorate": "day", "while_suspended": "stop", "trial_days": chance.choice((10, 40))},
            {"prorate": "full", "while_suspended": "charge"},
            {"prorate": "day", "discount": {"percent": "25", "periods": chance.choice((1, 2))}},
        )
    )
    return _charge(
        chance,
        "Rent",
        "recurring",
        amount="30",
        timing=chance.choice(("advance", "arrears")),
        anchor=chance.choice(("calendar", "anniversary")),
        **more,
        every=chance.choice(("week", "month", "quarter", "semester", "year")),
    )


def _events(chance: random.Random) -> Charge:
    price = chance.choice(({"model": "per_unit", "unit_price": "3"}, {"model": "volume", "tiers": TIERS}))
    event = chance.choice(("activated", "suspended", "resumed", "exchanged"))
    return _charge(chance, "Events", "event", event=event, price=price)


def _levels(chance: random.Random) -> Charge:
    how = chance.choice(({"aggregation": "weighted_sum"}, {"aggregation": "weighted_mean"}, {"recurring": True}))
    price = {"model": "per_unit", "unit_price": "0.50", "included": chance.choice(("0", "4"))}
    anchor = chance.choice(("calendar", "anniversary"))
    return _charge(chance, "Levels", "usage", calculator={"metric": "calls", **how, "price": price}, anchor=anchor)


def _set_up(_chance: random.Random) -> Charge:
    return {"name": "Set-up", "type": "one_time", "amount": "49", "vat_rate": "20"}


def _charge(chance: random.Random, name: str, kind: str, **more: Any) -> Charge:
    return {"name": name, "type": kind, "every": chance.choice(("month", "month", "quarter")), "vat_rate": "20", **more}
