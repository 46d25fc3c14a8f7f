"""Live traffic for a person who looks: a clean session that takes nothing from anybody and acknowledges nothing."""

import queue
import time
import uuid
from collections.abc import Iterator
from typing import Any

from config.clock import Clock
from gateway.links.paho import attached_by
from gateway.mqtt import Address, new_client
from gateway.receiver import BrokerError
from gateway.sources.trying import Heard

ANSWER_SECONDS = 10.0
WAITING_MAX = 1_000
"""Messages kept for the reader; more are dropped, for nothing is lost by it."""


def listen(address: Address, topic: str, *, mqtt_version: str, clock: Clock, seconds: float) -> Iterator[Heard]:
    """What is published under a filter within `seconds`, stored copies first. Raises BrokerError."""
    heard: queue.Queue[Heard] = queue.Queue(maxsize=WAITING_MAX)
    answers: queue.Queue[str | None] = queue.Queue()

    def on_connect(client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            answers.put(f"the broker refused the connection: {str(reason).lower()}")
        else:
            client.subscribe(topic, qos=1)

    def on_subscribe(_client: Any, _userdata: Any, _mid: Any, reasons: Any, _properties: Any) -> None:
        refused = any(reason.is_failure for reason in reasons)
        answers.put(f"the broker refused {topic}; check its access control" if refused else None)

    def on_message(_client: Any, _userdata: Any, message: Any) -> None:
        if not heard.full():
            heard.put(
                Heard(
                    topic=message.topic,
                    payload=message.payload,
                    at=clock.now(),
                    retained=message.retain,
                    attached=attached_by(message.properties),
                )
            )

    client = new_client(
        address,
        client_id=f"metergate-try-{uuid.uuid4().hex[:8]}",
        mqtt_version=mqtt_version,
        manual_ack=False,
        clean=True,
        reconnect=False,
    )
    client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
    try:
        client.connect(address.host, address.port)
        client.loop_start()
        refusal = answers.get(timeout=ANSWER_SECONDS)
    except (OSError, queue.Empty) as error:
        client.loop_stop()
        raise BrokerError(f"nothing answers at {address.host}:{address.port} ({error})") from None
    try:
        if refusal is not None:
            raise BrokerError(refusal)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                yield heard.get(timeout=left)
            except queue.Empty:
                return
    finally:
        client.disconnect()
        client.loop_stop()
