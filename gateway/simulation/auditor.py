"""What the customers of a history owe, worked out day by day and record by record; it shares no code with the engine.

The law: it is slow, plain and short enough to be believed; where it and the engine differ, one of them is wrong.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from gateway.simulation.periods import Period, Served, fee, is_level, level, period_of
from gateway.simulation.story import LAST_CLOSED_DAY, Device, History
from gateway.simulation.tariffs import Call, bounded, price_of, worth

DAY = timedelta(days=1)
TOLD = {"activated": "activate", "suspended": "suspend", "resumed": "resume", "exchanged": "exchange"}
"""The commands that are events on a timeline."""
PoolKey = tuple[str, str, date]
Owed = dict[PoolKey, Fraction]
"""Net amount by object, charge and first day of the whole period; a register's is under its first day of all.

Of a pool the first is its contract and its subscription (or the contract again).
"""


def owed(history: History, taken_at: Mapping[tuple[str, str], datetime]) -> Owed:
    """The net amount of each object, charge and period that is due by the last closed day; zeros are left out."""
    plans = _plans(history)
    amounts: Owed = defaultdict(Fraction)
    for pool, amount in _pools(history, taken_at):
        amounts[pool] += amount
    for device in history.devices:
        for plan, part in _parts(device):
            for charge in plans[plan][1]:
                if "scope" in charge and charge["scope"] != "item":
                    continue
                for period, amount in _charge(part, device.starts_on, charge, taken_at):
                    amounts[device.reference, charge["name"], period] += amount
    return {key: amount for key, amount in amounts.items() if amount}


def _parts(device: Device) -> Iterator[tuple[str, Device]]:
    """The object on each of its plans in turn: the day of a change belongs to the new one."""
    plan, contract, begins = device.plan, device.contract, device.starts_on
    for change in device.changes:
        yield plan, replace(device, contract=contract, starts_on=begins, ends_on=change.day, fees_until=None)
        plan, contract, begins = change.plan, change.contract, change.day
    yield plan, replace(device, contract=contract, starts_on=begins)


def _plans(history: History) -> dict[str, tuple[str, Sequence[Mapping[str, Any]]]]:
    """By plan or version of one, the name of its subscription and its charges."""
    plans = {plan["name"]: (plan["name"], plan["charges"]) for plan in history.catalogue["plans"]}
    return plans | {it.key: (it.plan, it.charges) for it in history.repricings}


def _charge(
    device: Device, served_from: date, charge: Mapping[str, Any], taken_at: Mapping[tuple[str, str], datetime]
) -> Iterator[tuple[date, Fraction]]:
    kept = device.fees_until if charge["type"] == "recurring" else None
    days = [device.starts_on + n * DAY for n in range(((kept or device.ends_on) - device.starts_on).days)]
    if charge["type"] == "one_time":
        # The part on the first plan has it, whatever comes after.
        if device.starts_on == served_from:
            yield served_from, Fraction(charge["amount"])
        return
    periods: dict[Period, list[date]] = {}
    for day in days:
        periods.setdefault(period_of(day, charge, served_from), []).append(day)
    closed = {
        it: inside
        for it, inside in periods.items()
        if kept is not None or _due_on(served_from, charge, inside) <= LAST_CLOSED_DAY
    }
    if charge["type"] == "usage" and charge["calculator"]["metric"] == "register":
        yield date.min, _register(device, charge, [day for inside in closed.values() for day in inside])
        return
    for period, inside in closed.items():
        yield period.first, _worth(device, charge, Served(period, inside, served_from), taken_at)


def _worth(
    device: Device, charge: Mapping[str, Any], served: Served, taken_at: Mapping[tuple[str, str], datetime]
) -> Fraction:
    part = Fraction(len(served.days), served.period.days)
    if charge["type"] == "recurring":
        return fee(device, charge, served)
    if charge["type"] == "event":
        told = [it for it in device.commands if it.command == TOLD[charge["event"]]]
        count = sum(_local_day(it.at, device.zone) in served.days for it in told)
        return bounded(charge, price_of(charge["price"], Fraction(count)), part)
    if charge["calculator"]["metric"] == "used":
        return bounded(charge, _price(charge["calculator"]["price"], _used(device, served.days, taken_at)), part)
    if is_level(charge):
        every = sorted(_calls(device, charge, None, taken_at))
        return worth(charge, (), part, Fraction(1), level=level(charge, every, served, device.zone))
    return worth(charge, _calls(device, charge, served.days, taken_at), part, Fraction(1))


def _due_on(served_from: date, charge: Mapping[str, Any], inside: list[date]) -> date:
    if charge.get("timing", "arrears") == "arrears":
        return inside[-1]
    return inside[0] if inside[0] == served_from else inside[0] - DAY


def _local_day(instant: datetime, zone: str) -> date:
    return instant.astimezone(ZoneInfo(zone)).date()


def _used(device: Device, inside: list[date], taken_at: Mapping[tuple[str, str], datetime]) -> Fraction:
    total = Fraction(0)
    for message in device.messages:
        if message.metric == "used" and not (message.conflicting or message.taken_back):
            at = message.measured_at if message.says_time else taken_at[message.reference, message.sender_id]
            if _local_day(at, device.zone) in inside:
                total += Fraction(message.value)
    return total


def _calls(
    device: Device,
    charge: Mapping[str, Any],
    inside: Sequence[date] | None,
    taken_at: Mapping[tuple[str, str], datetime],
) -> Iterator[Call]:
    """The calls on some days, or all there are."""
    for message in device.messages:
        if message.metric == "calls" and not message.taken_back:
            at = message.measured_at if message.says_time else taken_at[message.reference, message.sender_id]
            day = _local_day(at, device.zone)
            pause = any(start <= day < end for start, end in device.suspended)
            free = pause and charge.get("usage_while_suspended", "bill") != "bill"
            if inside is None or (day in inside and not free):
                yield Call(at, message.reference, Fraction(message.value), message.properties.get("zone"))


# --- pools ---------------------------------------------------------------------------------------------------


def _pools(history: History, taken_at: Mapping[tuple[str, str], datetime]) -> Iterator[tuple[PoolKey, Fraction]]:
    """What each pool owes for each period that is due: one worth of all the days that any object is in it.

    Another version of a plan has a pool of its own in each subscription; a contract's goes on.
    """
    found: dict[tuple[str, str, str], tuple[Mapping[str, Any], list[Device]]] = {}
    plans = _plans(history)
    for device in history.devices:
        for plan, part in _parts(device):
            name, charges = plans[plan]
            for charge in charges:
                if charge.get("scope", "item") == "contract":
                    key = (f"{part.contract} / {part.contract}", charge["name"], "")
                elif charge.get("scope", "item") == "subscription":
                    key = (f"{part.contract} / {name}", charge["name"], plan)
                else:
                    continue
                found.setdefault(key, (charge, []))[1].append(part)
    for (pool, charge_name, _), (charge, parts) in found.items():
        for first, amount in _pool(charge, parts, taken_at):
            yield (pool, charge_name, first), amount


def _pool(
    charge: Mapping[str, Any], parts: Sequence[Device], taken_at: Mapping[tuple[str, str], datetime]
) -> Iterator[tuple[date, Fraction]]:
    days: dict[Period, set[date]] = {}
    item_days: dict[Period, int] = {}
    for part in parts:
        for day in (part.starts_on + n * DAY for n in range((part.ends_on - part.starts_on).days)):
            period = period_of(day, charge, day)
            days.setdefault(period, set()).add(day)
            item_days[period] = item_days.get(period, 0) + 1
    everywhere = {day for inside in days.values() for day in inside}
    for period, inside in days.items():
        due = max(inside)
        if charge.get("timing") == "advance":
            due = min(inside) if min(inside) - DAY not in everywhere else min(inside) - DAY
        if due > LAST_CLOSED_DAY:
            continue
        served = Fraction(len(inside), period.days)
        if charge["type"] == "recurring":
            yield period.first, Fraction(charge["amount"]) * served
            continue
        calls: list[Call] = []
        for part in parts:
            there = {part.starts_on + n * DAY for n in range((part.ends_on - part.starts_on).days)} & inside
            calls += _calls(part, charge, sorted(there), taken_at)
        yield period.first, worth(charge, calls, served, Fraction(item_days[period], period.days))


# --- prices and registers ------------------------------------------------------------------------------------


def _register(device: Device, charge: Mapping[str, Any], inside: list[date]) -> Fraction:
    """From the last reading before the first day (else the first reading) to the last inside: a rising register."""
    if not inside:
        return Fraction(0)
    readings = sorted(_risen(device))
    before = [value for day, value in readings if day < inside[0]]
    within = [value for day, value in readings if inside[0] <= day <= inside[-1]]
    if not within:
        return Fraction(0)
    start: Decimal = before[-1] if before else within[0]
    return Fraction(within[-1] - start) * Fraction(charge["calculator"]["price"]["unit_price"])


def _risen(device: Device) -> Iterator[tuple[date, Decimal]]:
    """The local days of the readings, with what they would say if the first register had gone on."""
    shown = [
        (message.measured_at, message.value)
        for message in device.messages
        if message.metric == "register" and not message.taken_back
    ]
    for at, value in shown:
        ahead = [final - initial for changed_at, final, initial in device.exchanges if changed_at <= at]
        yield _local_day(at, device.zone), value + sum(ahead, Decimal(0))
    for changed_at, final, _ in device.exchanges:
        yield _local_day(changed_at, device.zone), final


def _price(price: Mapping[str, Any], quantity: Fraction) -> Fraction:
    if price["model"] == "flat":
        return Fraction(price["amount"])
    if price["model"] == "per_unit":
        return max(Fraction(0), quantity - Fraction(price["included"])) * Fraction(price["unit_price"])
    amount, below = Fraction(0), Fraction(0)
    if not quantity and price["charge_zero"]:
        return Fraction(price["tiers"][0]["flat_fee"])
    for tier in price["tiers"]:
        if quantity > below:
            top = quantity if tier["up_to"] is None else min(quantity, Fraction(tier["up_to"]))
            amount += (top - below) * Fraction(tier["unit_price"]) + Fraction(tier["flat_fee"])
            below = top
    return amount


def midnight(day: date, zone: str) -> datetime:
    """For people who read a difference: when a local day begins, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
