"""Publishes the outbox: what a transaction decided leaves after it, in order, at least once."""

import json
import logging
import threading
from datetime import datetime
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, MQTTMessageInfo
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from billing import downlink
from config.clock import Clock
from gateway.mqtt import KEEPALIVE_SECONDS, Address, new_client
from storage import outbox
from storage.database import Database
from storage.errors import StorageError
from storage.tables import Outbox
from storage.types import to_micros

log = logging.getLogger(__name__)
PUBLISH_SECONDS = 10
"""How long one batch may wait for the broker's acknowledgement before it is tried again."""
POLL_SECONDS = 1.0
"""How soon a row written by another process (a command line) is noticed."""


class OutboxPublisher:
    """A thread and a connection of its own: a slow broker never holds up what is received."""

    def __init__(
        self, database: Database, clock: Clock, address: Address, *, client_id: str, mqtt_version: str
    ) -> None:
        self._database = database
        self._clock = clock
        self._address = address
        self._five = mqtt_version == "5"
        self._client: Client = new_client(
            address, client_id=f"{client_id}-outbox", mqtt_version=mqtt_version, manual_ack=False, clean=True
        )
        self._state_topic: str | None = None
        self._since = 0
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)

    def state_on(self, topic: str | None) -> None:
        """Be the primary host of Sparkplug's edge nodes on this topic: retained while connected, with a will.

        To be called before `start`. The will has the time of the birth (Sparkplug 3.0, 5.8).
        """
        self._state_topic = topic
        if topic is not None:
            self._client.on_pre_connect = lambda _client, _userdata: self._prepare_will(topic)
            self._client.on_connect = self._on_connect

    def _on_connect(
        self, _client: Client, _userdata: Any, _flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if self._state_topic is not None and not reason.is_failure:
            self._say_state(self._state_topic, online=True)

    def _prepare_will(self, topic: str) -> None:
        self._since = to_micros(self._clock.now()) // 1000
        self._client.will_set(topic, self._state(online=False), qos=1, retain=True)

    def _say_state(self, topic: str, *, online: bool) -> MQTTMessageInfo:
        return self._client.publish(topic, self._state(online=online), qos=1, retain=True)

    def _state(self, *, online: bool) -> str:
        return json.dumps({"online": online, "timestamp": self._since})

    def start(self) -> None:
        self._client.connect_async(self._address.host, self._address.port, KEEPALIVE_SECONDS)
        self._client.loop_start()
        self._thread.start()

    def wake(self) -> None:
        """Look now: a transaction has just written something."""
        self._wake.set()

    def stop(self) -> None:
        """Publish what waits, when the broker is there, and end."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(PUBLISH_SECONDS + 1)
        if self._state_topic is not None and self._client.is_connected():
            self._say_state(self._state_topic, online=False).wait_for_publish(PUBLISH_SECONDS)
        self._client.disconnect()
        self._client.loop_stop()

    def _run(self) -> None:
        while True:
            stopping = self._stopping.is_set()
            self._wake.clear()
            try:
                while self._client.is_connected() and self._publish_some():
                    pass
            except (StorageError, RuntimeError, ValueError) as error:
                log.warning("the outbox waits: %s", error)
            if stopping:
                return
            self._wake.wait(POLL_SECONDS)

    def _publish_some(self) -> bool:
        """Publish the oldest rows and note that they left; False when none waited."""
        now = self._clock.now()
        with self._database.snapshot() as session:
            rows = list(outbox.waiting(session))
        if not rows:
            return False
        expired = [
            row.id for row in rows if row.id is not None and row.expires_at is not None and row.expires_at <= now
        ]
        infos = [(row.id, self._send(row, now)) for row in rows if row.id is not None and row.id not in expired]
        sent = []
        for row_id, info in infos:
            info.wait_for_publish(PUBLISH_SECONDS)
            if info.is_published():
                sent.append(row_id)
        with self._database.transaction() as session:
            outbox.mark_sent(session, sent, now=now)
            outbox.mark_expired(session, expired)
            left = set(sent)
            commands = [it.device_command_id for it in rows if it.id in left and it.device_command_id is not None]
            downlink.note_sent(session, commands, now)
        return bool(sent or expired)

    def _send(self, row: Outbox, now: datetime) -> MQTTMessageInfo:
        properties = None
        if self._five:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho leaves it untyped
            if row.correlation_data is not None:
                properties.CorrelationData = row.correlation_data
            if row.expires_at is not None:
                properties.MessageExpiryInterval = max(1, int((row.expires_at - now).total_seconds()))
        return self._client.publish(
            row.topic, outbox.content(row), qos=1, retain=bool(row.retain), properties=properties
        )
