"""What happens in a simulated world, decided by a seed alone: who takes which plan, what objects do and send.

The law: the same seed is the same history, to the microsecond. Nothing here knows the engine; the player feeds it
to the engine, the auditor says what it is worth.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gateway.simulation import minds, offers, sending, services
from gateway.simulation.doubts import with_exchange, with_reversals
from gateway.simulation.story import (
    DAY,
    FIRST_DAY,
    LAST_CLOSED_DAY,
    LAST_COMMAND_DAY,
    Change,
    Command,
    Device,
    History,
    months_later,
)

ZONES = (
    *("Europe/Paris", "America/New_York", "Pacific/Pago_Pago", "Pacific/Kiritimati", "Australia/Lord_Howe"),
    *("Asia/Kathmandu", "America/Santiago", "UTC"),
)


def history(seed: int) -> History:
    """The history of a seed."""
    chance = random.Random(seed)  # noqa: S311 - repeatable is the point
    plans = [_plan(chance, number) for number in range(2)]
    # A register's reading that comes late is billed with the next period: at one price, whatever the plan by then.
    plans[1]["charges"][2] = plans[0]["charges"][2]
    contracts = [
        {
            "name": f"Contract {number}",
            "customer": f"CUSTOMER-{number}",
            "starts_on": "2023-11-01",
            "timezone": chance.choice(ZONES),
            "grouping": chance.choice((["subscription", "charge"], ["object"], ["attribute:site"])),
            "subscriptions": [plan["name"] for plan in plans],
        }
        for number in range(chance.choice((1, 2)))
    ]
    # A chance of its own for each thing that came later: the rest of a seed's history stays as it is.
    more = random.Random(-seed - 15_485_863)  # noqa: S311 - repeatable is the point
    common = services.charges(more)
    for plan in plans:
        plan["charges"] += [it for it in common if plan is plans[0] or more.random() < 0.7]  # noqa: PLR2004 - most
    for contract in contracts:
        contract["coupons"] = services.coupons(more)
    late = random.Random(-seed - 32_452_843)  # noqa: S311 - repeatable is the point
    offered = offers.charges(late)
    for plan in plans:
        plan["charges"] += [it for it in offered if plan is plans[1] or late.random() < 0.5]  # noqa: PLR2004 - a coin
    if late.random() < 0.5:  # noqa: PLR2004 - an object goes only to a contract of its own zone
        contracts[-1]["timezone"] = contracts[0]["timezone"]
    currency = late.choice(offers.CURRENCIES)
    for contract in contracts:
        contract["coupons"] = [offers.in_currency(it, currency) for it in contract["coupons"]]
    catalogue = {
        "seller": {"name": "Seller", "country": "FR", "currency": "EUR", "timezone": "Europe/Paris"},
        "metrics": [
            {"name": "used", "unit": "unit", "kind": "delta", "decimals": 3},
            {"name": "register", "unit": "kWh", "kind": "cumulative", "decimals": 3},
            services.CALLS,
        ],
        "customers": [
            {"reference": it["customer"], "name": it["customer"], "country": "FR", "currency": currency}
            for it in contracts
        ],
        "plans": plans,
        "contracts": contracts,
    }
    devices = tuple(
        _device(
            chance,
            random.Random(seed * 1000 + number),  # noqa: S311 - repeatable is the point
            f"OBJECT-{number}",
            chance.choice(contracts),
            chance.choice(plans)["name"],
        )
        for number in range(chance.choice((1, 2, 3, 5)))
    )
    devices = tuple(replace(it, messages=(*it.messages, *sending.calls(more, it.reference))) for it in devices)
    devices = tuple(with_exchange(more, device) for device in devices)
    doubt = random.Random(-seed - 7919)  # noqa: S311 - repeatable is the point
    devices = tuple(with_reversals(doubt, device) for device in devices)
    devices = tuple(minds.with_fee(late, minds.with_renewals(late, it)) for it in devices)
    devices = tuple(minds.with_transfer(late, it, contracts) for it in devices)
    devices, repricings = minds.with_repricing(late, devices, plans[0])
    looks = services.looks(more, datetime(2023, 11, 25, tzinfo=UTC))
    return History(
        seed=seed,
        catalogue=catalogue,
        devices=devices,
        closes=tuple(_closes(chance)),
        looks=tuple(looks),
        repricings=repricings,
    )


def _plan(chance: random.Random, number: int) -> dict[str, Any]:
    return {"name": f"Plan {number}", "charges": [_fee(chance), _usage(chance), _register(chance)]}


def _fee(chance: random.Random) -> dict[str, Any]:
    return {
        "name": "Fee",
        "type": "recurring",
        "every": chance.choice(("month", "month", "quarter")),
        "timing": chance.choice(("advance", "arrears")),
        "amount": chance.choice(("10", "9.99", "29.95")),
        "prorate": chance.choice(("day", "day", "none")),
        "while_suspended": chance.choice(("stop", "charge")),
        "vat_rate": "20",
    }


def _usage(chance: random.Random) -> dict[str, Any]:
    prices: tuple[dict[str, Any], ...] = (
        {"model": "per_unit", "unit_price": "2.50", "included": chance.choice(("0", "25"))},
        {"model": "flat", "amount": "4.20"},
        {
            "model": "graduated",
            "charge_zero": True,
            "tiers": [
                {"up_to": "10", "unit_price": "1.10", "flat_fee": "2"},
                {"up_to": "100.5", "unit_price": "0.333", "flat_fee": "0"},
                {"up_to": None, "unit_price": "0.01", "flat_fee": "5"},
            ],
        },
    )
    return {
        "name": "Used",
        "type": "usage",
        "every": chance.choice(("month", "quarter")),
        "vat_rate": "5.5",
        "calculator": {"metric": "used", "aggregation": "sum", "price": chance.choice(prices)},
    }


def _register(chance: random.Random) -> dict[str, Any]:
    price = {"model": "per_unit", "unit_price": chance.choice(("0.1234", "0.25"))}
    calculator = {"metric": "register", "aggregation": "sum", "price": price}
    return {"name": "Energy", "type": "usage", "every": "month", "vat_rate": "20", "calculator": calculator}


def _closes(chance: random.Random) -> Iterator[tuple[datetime, date]]:
    """Closes at odd hours; some months are closed late, together with the next."""
    for ends_on in (date(2023, 11, 30), date(2023, 12, 31), date(2024, 1, 31), date(2024, 2, 29), date(2024, 3, 31)):
        if chance.random() < 0.75:  # noqa: PLR2004 - most of them
            hours = chance.randrange(30, 24 * 20)
            yield datetime(ends_on.year, ends_on.month, ends_on.day, tzinfo=UTC) + timedelta(hours=24 + hours), ends_on
    # Usage ends in March and comes until May: the last two closes find all of it.
    yield datetime(2024, 5, 20, 3, tzinfo=UTC), date(2024, 4, 30)
    yield datetime(2024, 6, 3, 3, tzinfo=UTC), LAST_CLOSED_DAY


# --- one device ----------------------------------------------------------------------------------------------


def _device(
    chance: random.Random, moods: random.Random, reference: str, contract: Mapping[str, Any], plan: str
) -> Device:
    zone = ZoneInfo(contract["timezone"])
    activated_on = FIRST_DAY + timedelta(days=chance.randrange(60))
    starts_on = activated_on + timedelta(days=chance.choice((0, 0, -5, -15, 9)))
    months = chance.choice((1, 2, 3, 12))
    ends_on = months_later(starts_on, months)
    site = chance.choice(("Lyon", "Nantes"))
    number = iter(range(100))

    def command(at: datetime, word: Any, **body: Any) -> Command:
        request_id = f"{reference}-{next(number)}"
        deliveries = chance.choice((1, 1, 2))
        return Command(
            at=at,
            reference=reference,
            command=word,
            request_id=request_id,
            body={"request_id": request_id, **body},
            deliveries=deliveries,
        )

    def noon(day: date, minutes: int = 0) -> datetime:
        return datetime(day.year, day.month, day.day, 12, tzinfo=zone) + timedelta(minutes=minutes)

    commands = [
        command(
            noon(activated_on),
            "activate",
            contract=contract["name"],
            subscription=plan,
            starts_on=starts_on.isoformat(),
            term_months=months,
        )
    ]
    suspended: list[tuple[date, date]] = []
    day = max(activated_on, starts_on) + timedelta(days=chance.randrange(1, 30))
    while chance.random() < 0.5 and day + timedelta(days=40) < min(ends_on, LAST_COMMAND_DAY):  # noqa: PLR2004 - a coin
        back = timedelta(days=chance.choice((0, 0, 3)))
        until = day + timedelta(days=chance.randrange(1, 35))
        commands.append(command(noon(day + back), "suspend", on=day.isoformat()))
        commands.append(command(noon(max(until, day + back), 5), "resume", on=until.isoformat()))
        suspended.append((day, until))
        day = until + timedelta(days=chance.randrange(6, 30))
    if chance.random() < 0.4 and day + timedelta(days=3) < min(ends_on, LAST_COMMAND_DAY):  # noqa: PLR2004 - some
        back = timedelta(days=chance.choice((0, 0, 2)))
        commands.append(command(noon(day + back, 10), "terminate", on=day.isoformat()))
        ends_on = day + timedelta(days=1)
    changes: list[Change] = []
    since = max(activated_on, starts_on) + DAY
    while moods.random() < 0.5 and since + 20 * DAY < min(ends_on, LAST_COMMAND_DAY):  # noqa: PLR2004 - a coin
        day = since + moods.randrange(15) * DAY
        other = next(name for name in contract["subscriptions"] if name != (changes[-1].plan if changes else plan))
        back = moods.choice((0, 0, 1, 4)) * DAY
        commands.append(command(noon(day + back, 20), "change_plan", on=day.isoformat(), subscription=other))
        told_at = commands[-1].at
        changes.append(Change(day=day, told_at=told_at, plan=other, contract=contract["name"]))
        since = day + back + DAY
    messages = [*sending.deltas(chance, reference), *sending.readings(chance, reference, noon(starts_on))]
    return Device(
        reference=reference,
        site=site,
        contract=contract["name"],
        plan=plan,
        zone=contract["timezone"],
        starts_on=starts_on,
        ends_on=ends_on,
        changes=tuple(changes),
        suspended=tuple(suspended),
        commands=tuple(commands),
        messages=tuple(messages),
    )
