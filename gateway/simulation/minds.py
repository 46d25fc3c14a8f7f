"""Changes of mind that reach beyond one plan: terms that renew, ends with a fee, transfers, and changes of price.

The law: a chance of its own decides them after all else, and each object's story says what follows: which days it is on
which plan, at which price and in which contract. Where a story would depend on which minute somebody looked, nothing
is changed.
"""

import random
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from gateway.simulation.story import (
    DAY,
    LAST_CLOSED_DAY,
    LAST_COMMAND_DAY,
    Change,
    Command,
    Device,
    Repricing,
    months_later,
)

NOTICE_DAYS = 10
NEAR = 5 * DAY
"""How far from a term's end, or from the day of a planned price, nothing may depend on who looks first."""


def with_renewals(chance: random.Random, device: Device) -> Device:
    """The same story, in which a term that ran out may renew until notice is given."""
    activation = device.commands[0]
    months = activation.body["term_months"]
    if device.ends_on != months_later(device.starts_on, months) or chance.random() < 0.5:  # noqa: PLR2004 - a coin
        return device
    ends = [months_later(device.starts_on, months * number) for number in range(1, 13)]
    body = {**activation.body, "renewal": "automatic", "notice_days": NOTICE_DAYS}
    commands = (replace(activation, body=body), *device.commands[1:])
    told = date(2024, 1, 1) + chance.randrange(120) * DAY
    if chance.random() < 0.5 and told > activation.at.date() + NEAR and all(abs(told - end) > NEAR for end in ends):  # noqa: PLR2004 - a coin
        ends_on = next(end for end in ends if told + NOTICE_DAYS * DAY <= end)
        commands = (*commands, _command(device, "no_renew", told, told, "notice"))
    else:
        ends_on = next(end for end in ends if end > LAST_CLOSED_DAY + NEAR)
    if any(abs(end - LAST_CLOSED_DAY) < NEAR for end in ends) or ends_on < device.ends_on:
        return device
    return replace(device, commands=commands, ends_on=ends_on, terms=tuple(end for end in ends if end < ends_on))


def with_fee(chance: random.Random, device: Device) -> Device:
    """The same story, in which an early end may cost the fees to the end of the term."""
    last = device.commands[-1] if device.commands else None
    ends = [it for it in device.commands if it.command == "terminate"]
    if last is None or not ends or chance.random() < 0.5:  # noqa: PLR2004 - a coin
        return device
    body = {**ends[0].body, "fee": "rest_of_term"}
    commands = tuple(replace(it, body=body) if it is ends[0] else it for it in device.commands)
    return replace(
        device,
        commands=commands,
        fees_until=months_later(device.starts_on, device.commands[0].body["term_months"]),
    )


def with_transfer(chance: random.Random, device: Device, contracts: Sequence[Mapping[str, Any]]) -> Device:
    """The same story, in which the object may go on in the other contract."""
    others = [it for it in contracts if it["name"] != device.contract and it["timezone"] == device.zone]
    since = max((it.told_at.date() for it in device.changes), default=device.commands[0].at.date()) + DAY
    since = max(since, device.starts_on + DAY)
    until = min(device.ends_on, LAST_COMMAND_DAY) - NEAR
    if not others or since >= until or chance.random() < 0.4:  # noqa: PLR2004 - most of them
        return device
    day = since + chance.randrange((until - since).days) * DAY
    told = min(day + chance.choice((0, 0, 3)) * DAY, until)
    command = _command(device, "transfer", day, told, "transfer", contract=others[0]["name"])
    plan = device.changes[-1].plan if device.changes else device.plan
    change = Change(day=day, told_at=command.at, plan=plan, contract=others[0]["name"])
    return replace(device, commands=(*device.commands, command), changes=(*device.changes, change))


def with_repricing(
    chance: random.Random, devices: Sequence[Device], plan: Mapping[str, Any]
) -> tuple[tuple[Device, ...], tuple[Repricing, ...]]:
    """The same stories, in which the price of a plan may change for all, from a past day or one to come."""
    at = datetime(2024, 1, 5, 3, 33, tzinfo=UTC) + chance.randrange(95) * DAY
    on = at.date() + chance.choice((-30, -9, -2, 2, 17, 40)) * DAY
    key = f"{plan['name']}, version 2"
    dearer = [_dearer(charge) for charge in plan["charges"]]
    told = Repricing(at=at, plan=plan["name"], key=key, on=on, charges=tuple(dearer))
    moved = tuple(_moved(device, told) for device in devices)
    if chance.random() < 0.3 or any(it is None for it in moved):  # noqa: PLR2004 - some
        return tuple(devices), ()
    return tuple(it for it in moved if it is not None), (told,)


def _dearer(charge: Mapping[str, Any]) -> dict[str, Any]:
    """Another price for what each object has; what the objects share, and registers, stay as they are."""
    made = deepcopy(dict(charge))
    if charge.get("scope", "item") == "item" and charge["name"] not in {"Energy", "Set-up"}:
        if "amount" in made:
            made["amount"] = str(Decimal(made["amount"]) * Decimal("1.25"))
        else:
            made["multiplier"] = str(Decimal(made.get("multiplier", "1")) * Decimal("1.25"))
    return made


def _moved(device: Device, told: Repricing) -> Device | None:
    """An object's story after a change of price; None where it would depend on who looks first."""
    zone, planned = ZoneInfo(device.zone), told.on > told.at.date()
    takes = datetime.combine(told.on, time(0), zone).astimezone(UTC) if planned else told.at
    begins = Change(day=device.starts_on, told_at=device.commands[0].at, plan=device.plan, contract=device.contract)
    stays = [begins, *device.changes]
    ends = [(it.day, it.told_at) for it in device.changes]
    gone = [it for it in device.commands if it.command == "terminate"]
    ended = gone[0].at if gone else datetime.combine(device.ends_on, time(0), zone).astimezone(UTC)
    ends.append((device.ends_on, ended))
    changes: list[Change] = []
    for stay, (end, left_at) in zip(stays, ends, strict=True):
        found = [stay]
        if stay.plan == told.plan:
            if abs(stay.told_at - takes) < NEAR or (left_at <= told.at and abs(told.at - left_at) < NEAR):
                return None
            if stay.told_at > takes:
                found = [replace(stay, plan=told.key)]
            elif left_at > told.at and end > told.on:
                # What was told of a day that is past by then holds from where the object came to the plan.
                later = replace(stay, day=max(told.on, stay.day), told_at=told.at, plan=told.key)
                found = [later] if told.on <= stay.day else [stay, later]
                if device.fees_until is not None:
                    return None
        changes += found
    return replace(device, plan=changes[0].plan, changes=tuple(changes[1:]))


def _command(device: Device, word: Any, on: date, told: date, request_id: str, **body: Any) -> Command:
    request_id = f"{device.reference}-{request_id}"
    return Command(
        at=datetime(told.year, told.month, told.day, 12, 40, tzinfo=ZoneInfo(device.zone)).astimezone(UTC),
        reference=device.reference,
        command=word,
        request_id=request_id,
        body={"request_id": request_id, "on": on.isoformat(), **body},
        deliveries=1,
    )
