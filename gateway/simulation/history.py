"""What happens in a simulated world, decided by a seed alone: who takes which plan, what objects do and send.

The law: the same seed is the same history, to the microsecond. Nothing here knows the engine; the player feeds it
to the engine, the auditor says what it is worth.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

FIRST_DAY = date(2023, 11, 20)
"""Before a leap day, a year's end and both changes of clocks of the southern summer."""
USAGE_DAYS = 130
LAST_CLOSED_DAY = date(2024, 5, 31)
ZONES = (
    *("Europe/Paris", "America/New_York", "Pacific/Pago_Pago", "Pacific/Kiritimati", "Australia/Lord_Howe"),
    *("Asia/Kathmandu", "America/Santiago", "UTC"),
)
LAST_COMMAND_DAY = date(2024, 5, 20)
"""No command comes after the last close, which would have to know of it."""
DAY = timedelta(days=1)
LATEST_HOURS = 24 * 40
"""How late a burst of messages may come after it was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What an object sends once, and the instants at which the broker delivers it (a repeat is a delivery more)."""

    reference: str
    metric: str
    value: Decimal
    measured_at: datetime
    sender_id: str
    says_time: bool
    deliveries: tuple[datetime, ...]
    conflicting: bool = False
    """Whether it bears the key of an earlier message with another value: it must change nothing."""
    taken_back: bool = False
    """Whether a command takes it back later: it is owed as if it had never come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command from the back office; `on` is the local day that it takes effect, the present one when None."""

    at: datetime
    reference: str
    command: Literal["activate", "suspend", "resume", "change_plan", "terminate", "reverse"]
    request_id: str
    body: Mapping[str, Any]
    deliveries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One object's whole story; days are local days of its contract's zone, ends exclusive.

    It begins on `plan`; each of the `changes` is a day and the plan that it is on from then on.
    """

    reference: str
    site: str
    contract: str
    plan: str
    zone: str
    starts_on: date
    ends_on: date
    changes: tuple[tuple[date, str], ...]
    suspended: tuple[tuple[date, date], ...]
    commands: tuple[Command, ...]
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A whole world: the catalogue as a mapping, the devices, and the instants at which months are closed."""

    seed: int
    catalogue: Mapping[str, Any]
    devices: tuple[Device, ...]
    closes: tuple[tuple[datetime, date], ...] = field(repr=False)


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
    catalogue = {
        "seller": {"name": "Seller", "country": "FR", "currency": "EUR", "timezone": "Europe/Paris"},
        "metrics": [
            {"name": "used", "unit": "unit", "kind": "delta", "decimals": 3},
            {"name": "register", "unit": "kWh", "kind": "cumulative", "decimals": 3},
        ],
        "customers": [
            {"reference": contract["customer"], "name": contract["customer"], "country": "FR"} for contract in contracts
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
    # A chance of its own: what is taken back leaves the rest of a seed's history as it is.
    doubt = random.Random(-seed - 7919)  # noqa: S311 - repeatable is the point
    devices = tuple(_with_reversals(doubt, device) for device in devices)
    return History(seed=seed, catalogue=catalogue, devices=devices, closes=tuple(_closes(chance)))


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
    ends_on = _months_later(starts_on, months)
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
    changes: list[tuple[date, str]] = []
    since = max(activated_on, starts_on) + DAY
    while moods.random() < 0.5 and since + 20 * DAY < min(ends_on, LAST_COMMAND_DAY):  # noqa: PLR2004 - a coin
        day = since + moods.randrange(15) * DAY
        other = next(name for name in contract["subscriptions"] if name != (changes[-1][1] if changes else plan))
        back = moods.choice((0, 0, 1, 4)) * DAY
        commands.append(command(noon(day + back, 20), "change_plan", on=day.isoformat(), subscription=other))
        changes.append((day, other))
        since = day + back + DAY
    messages = [*_deltas(chance, reference), *_readings(chance, reference, noon(starts_on))]
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


def _months_later(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    for last in range(day.day, 27, -1):
        try:
            return date(year, month + 1, last)
        except ValueError:
            continue
    return date(year, month + 1, day.day)


def _instant(chance: random.Random) -> datetime:
    start = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
    if chance.random() < 0.2:  # noqa: PLR2004 - the hours where months change somewhere
        month = chance.choice((datetime(2023, 12, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)))
        return month + timedelta(seconds=chance.choice((-1, 0, 1)) + 3600 * chance.randrange(-14, 15))
    return start + timedelta(seconds=chance.randrange(USAGE_DAYS * 86_400))


def _deliveries(chance: random.Random, measured_at: datetime, *, prompt: bool = False) -> tuple[datetime, ...]:
    late = timedelta(seconds=chance.randrange(1, 60))
    if not prompt and chance.random() < 0.25:  # noqa: PLR2004 - an offline spell
        late = timedelta(hours=chance.randrange(1, LATEST_HOURS))
    first = measured_at + late
    return (first, *(first + timedelta(hours=chance.randrange(1, 200)) for _ in range(chance.choice((0, 0, 0, 1, 2)))))


def _deltas(chance: random.Random, reference: str) -> Iterator[Message]:
    instants = sorted({_instant(chance) for _ in range(chance.randrange(0, 25))})
    for number, measured_at in enumerate(instants):
        says_time = chance.random() < 0.8  # noqa: PLR2004 - most of them
        message = Message(
            reference=reference,
            metric="used",
            value=Decimal(chance.randrange(0, 60_000)) / 1000,
            # A clock that is wrong is still the object's clock: it is what the bill goes by.
            measured_at=measured_at + timedelta(microseconds=number, seconds=chance.choice((0, 0, -300, 7200))),
            sender_id=f"d{number}" if not says_time or chance.random() < 0.5 else "",  # noqa: PLR2004 - a coin
            says_time=says_time,
            deliveries=_deliveries(chance, measured_at + timedelta(hours=3)),
        )
        yield message
        if says_time and chance.random() < 0.1:  # noqa: PLR2004 - a few
            yield Message(
                reference=reference,
                metric="used",
                value=message.value + 1,
                measured_at=message.measured_at,
                sender_id=message.sender_id,
                says_time=True,
                deliveries=(max(message.deliveries) + timedelta(hours=30),),
                conflicting=True,
            )


def _readings(chance: random.Random, reference: str, start: datetime) -> Iterator[Message]:
    """A register that only rises; the readings around the start of service come promptly.

    The value that a register starts from is kept for good: where there is no period before, what a reading is worth
    would depend on when it came.
    """
    instants = sorted({_instant(chance) for _ in range(chance.randrange(0, 12))})
    value = Decimal(chance.randrange(0, 10**6)) / 1000
    for number, measured_at in enumerate(instants):
        yield Message(
            reference=reference,
            metric="register",
            value=value,
            measured_at=measured_at,
            sender_id="",
            says_time=True,
            deliveries=_deliveries(chance, measured_at, prompt=number == 0 or measured_at < start + timedelta(days=1)),
        )
        value += Decimal(chance.randrange(0, 90_000)) / 1000


# --- what is taken back --------------------------------------------------------------------------------------


def _with_reversals(chance: random.Random, device: Device) -> Device:
    """The same story, in which some records turn out to be wrong: true ones, and readings that were far too high."""
    messages: list[Message] = []
    commands = list(device.commands)
    for message in device.messages:
        spike = replace(
            message,
            value=message.value + 1000,
            measured_at=message.measured_at + timedelta(seconds=1),
            deliveries=(min(message.deliveries) + timedelta(minutes=1),),
        )
        if message.metric == "register" and chance.random() < 0.1:  # noqa: PLR2004 - a few
            command = _taken_back(chance, spike, f"{device.reference}-back-{len(commands)}")
            if command is not None:
                commands.append(command)
                messages.append(replace(spike, taken_back=True))
        command = None
        if message.says_time and not message.conflicting and chance.random() < 0.08:  # noqa: PLR2004 - a few
            command = _taken_back(chance, message, f"{device.reference}-back-{len(commands)}")
        if command is not None:
            commands.append(command)
        messages.append(replace(message, taken_back=command is not None))
    return replace(device, messages=tuple(messages), commands=tuple(commands))


def _taken_back(chance: random.Random, message: Message, request_id: str) -> Command | None:
    """The command that takes a message back, days after its last delivery; None when no close would know of it."""
    at = max(message.deliveries) + timedelta(hours=chance.randrange(40, 24 * 60))
    if at.date() > LAST_COMMAND_DAY:
        return None
    body = {
        "request_id": request_id,
        "metric": message.metric,
        "at": message.measured_at.isoformat(),
        "id": message.sender_id,
        "reason": "it was wrong",
    }
    return Command(
        at=at,
        reference=message.reference,
        command="reverse",
        request_id=request_id,
        body=body,
        deliveries=chance.choice((1, 1, 2)),
    )
