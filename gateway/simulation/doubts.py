"""What turns out otherwise in a simulated history: records that are taken back, registers that are exchanged.

The law: what is taken back is owed as if it had never come, and an exchange changes nothing that is owed.
"""

import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from gateway.simulation.story import LAST_COMMAND_DAY, Command, Device, Message


def with_exchange(chance: random.Random, device: Device) -> Device:
    """The same story, in which another register may go on behind the object between two of its readings."""
    readings = [it for it in device.messages if it.metric == "register"]
    if len(readings) < 2 or chance.random() < 0.5:  # noqa: PLR2004 - a pair, and a coin
        return device
    n = chance.randrange(len(readings) - 1)
    before, after = readings[n], readings[n + 1]
    at = before.measured_at + (after.measured_at - before.measured_at) / 2
    told_at = at + timedelta(hours=chance.choice((1, 5, chance.randrange(1, 24 * 40))))
    if told_at.date() > LAST_COMMAND_DAY or not before.measured_at < at < after.measured_at:
        return device
    final = before.value + chance.choice((Decimal(0), after.value - before.value, (after.value - before.value) // 2))
    initial = Decimal(chance.randrange(0, 500_000)) / 1000
    request_id = f"{device.reference}-exchange"
    body = {
        "request_id": request_id,
        "metric": "register",
        "at": at.isoformat(),
        "final": str(final),
        "initial": str(initial),
    }
    command = Command(
        at=told_at,
        reference=device.reference,
        command="exchange",
        request_id=request_id,
        body=body,
        deliveries=chance.choice((1, 1, 2)),
    )
    messages = [
        replace(it, value=it.value - final + initial) if it.metric == "register" and it.measured_at > at else it
        for it in device.messages
    ]
    return replace(
        device,
        messages=tuple(messages),
        commands=(*device.commands, command),
        exchanges=(*device.exchanges, (at, final, initial)),
    )


def with_reversals(chance: random.Random, device: Device) -> Device:
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
        # A reading that is too high keeps an exchange from being told.
        if message.metric == "register" and not device.exchanges and chance.random() < 0.1:  # noqa: PLR2004 - a few
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
