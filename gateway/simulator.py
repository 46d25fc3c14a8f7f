"""Simulated devices: publishes messages as a fleet would, over real MQTT. Nothing is billed on this side."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiomqtt

from gateway.mqtt import Address

IN_FLIGHT = 10
"""Messages that wait for the broker at a time; aiomqtt warns of more."""


@dataclass(frozen=True, slots=True)
class Publication:
    """One message on its way out; the payload is JSON text or any bytes."""

    topic: str
    payload: bytes

    @classmethod
    def of(cls, topic: str, body: Any) -> "Publication":
        """A message with a JSON body."""
        return cls(topic, json.dumps(body).encode())


def publish(
    address: Address, messages: Sequence[Publication], *, done: Callable[[int], object] = lambda _: None
) -> None:
    """Publish all at QoS 1, in order of start; `done(1)` is called for each that the broker has."""
    asyncio.run(_publish(address, messages, done))


async def _publish(address: Address, messages: Sequence[Publication], done: Callable[[int], object]) -> None:
    waiting = iter(messages)
    async with aiomqtt.Client(
        address.host,
        address.port,
        identifier="metergate-simulator",
        username=address.user,
        password=address.password,
        protocol=aiomqtt.ProtocolVersion.V311,
    ) as client:

        async def work() -> None:
            for message in waiting:
                await client.publish(message.topic, message.payload, qos=1)
                done(1)

        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
