"""amqtt in a thread: the broker of the demo and of hermetic tests.

It is not a durable broker (MQTT 3.1.1, in memory, no redelivery of what was not acknowledged); Mosquitto is.
"""

import asyncio
import logging
import socket
import threading
from typing import Self

from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig, ListenerConfig

START_SECONDS = 10


class EmbeddedBroker:
    """A broker on 127.0.0.1, started and stopped with a `with` block; `url` says where it listens."""

    def __init__(self, port: int = 0) -> None:
        self._port = port or _free_port()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="embedded-broker", daemon=True)

    @property
    def url(self) -> str:
        """The address to give to clients."""
        return f"mqtt://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        for name in ("amqtt", "transitions"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._thread.start()
        self._ready.wait(START_SECONDS)
        if self._failure is not None:
            raise RuntimeError(f"the embedded broker did not start on port {self._port}: {self._failure}")
        return self

    def __exit__(self, *_exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits for the start
            self._failure = error
        finally:
            self._ready.set()
            self._loop.close()

    async def _serve(self) -> None:
        broker = Broker(
            BrokerConfig(
                listeners={"default": ListenerConfig(type="tcp", bind=f"127.0.0.1:{self._port}")},
                plugins={"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
            ),
        )
        await broker.start()
        self._ready.set()
        await self._stop.wait()
        await broker.shutdown()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
