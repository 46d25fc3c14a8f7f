"""The receiving MQTT client: hands batches to the database and acknowledges them after the commit.

The law: what was acknowledged is committed. What was received and not acknowledged when a connection ends is
forgotten, because the broker sends it again and its packet ids may belong to other messages by then.
"""

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from config.clock import Clock
from config.settings import Settings
from gateway.ingest import Message, Rules, ingest_batch
from gateway.mqtt import address_from, new_client
from gateway.roles import Filters
from storage import quarantine, usage
from storage.database import Database
from storage.errors import StorageError

log = logging.getLogger(__name__)

RETRY_MIN_SECONDS, RETRY_MAX_SECONDS = 0.2, 10.0
SESSION_NEVER_EXPIRES = 0xFFFFFFFF
NEW_SUBSCRIPTION_ONLY = 1
"""MQTT 5 retain handling: stored copies come once, not at every reconnection."""
INBOX_KEPT = timedelta(days=90)
"""How long the time given to a message with an id but no time is remembered."""


class BrokerError(Exception):
    """The broker cannot be used: the sentence says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlProperties:
    """Where MQTT 5 asks the answer to go; both None under MQTT 3.1.1."""

    response_topic: str | None = None
    correlation_data: bytes | None = None


ControlHandler = Callable[[str, bytes, bool, ControlProperties], None]
"""`handle_control(topic, payload, retained, properties)`; commits before it returns. A StorageError is retried."""


@dataclass(frozen=True, slots=True)
class _Received:
    generation: int
    mid: int
    qos: int
    message: Message
    control: ControlProperties | None


class Receiver:
    """One client, one session at the broker, one worker that writes.

    `handle_control` is called in the worker's thread, in the order of arrival.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Clock,
        handle_control: ControlHandler,
        *,
        filters: Filters | None = None,
    ) -> None:
        self._filters = Filters.everything(settings) if filters is None else filters
        self._stored = 0
        self._busy = False
        self._settings = settings
        self._database = database
        self._clock = clock
        self._handle_control = handle_control
        self._rules = Rules.of(settings)
        self._queue: queue.Queue[_Received | None] = queue.Queue(maxsize=2 * settings.receive_window)
        self._generation = 0
        # Held for the check of the generation and the acknowledgement together: a reconnection between the two
        # would acknowledge another message.
        self._generation_lock = threading.Lock()
        self._stopping = threading.Event()
        self._subscribed = threading.Event()
        self._last_error = "no answer yet"
        self._forget_at = clock.now()
        self._address = address_from(settings.broker_url)
        self._client = new_client(
            self._address,
            client_id=settings.client_id,
            mqtt_version=settings.mqtt_version,
            manual_ack=True,
            clean=False,
        )
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._worker = threading.Thread(target=self._work, name="metergate-ingest", daemon=True)

    @property
    def connected(self) -> bool:
        """Whether the subscriptions stand at this moment."""
        return self._subscribed.is_set()

    @property
    def stored(self) -> int:
        """How many messages were committed since the start, those that went to quarantine with them."""
        return self._stored

    @property
    def idle(self) -> bool:
        """Whether all that was received is committed."""
        return self._queue.empty() and not self._busy

    def unsubscribe(self, filters: Sequence[str]) -> None:
        """Collect no more under these filters; what waits in the session already is still received."""
        self._client.unsubscribe(list(filters))

    def start(self) -> None:
        """Connect in the background, for as long as it takes, and begin to work."""
        host, port, keepalive = self._address.host, self._address.port, self._settings.keepalive_seconds
        if self._settings.mqtt_version == "5":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = SESSION_NEVER_EXPIRES
            properties.ReceiveMaximum = self._settings.receive_window
            self._client.connect_async(host, port, keepalive, clean_start=False, properties=properties)
        else:
            self._client.connect_async(host, port, keepalive)
        self._worker.start()
        self._client.loop_start()

    def wait_ready(self, timeout_seconds: float) -> None:
        """Return once the subscriptions stand. Raises BrokerError with the last reason after `timeout_seconds`."""
        if not self._subscribed.wait(timeout_seconds):
            raise BrokerError(
                f"no session at the broker {self._address.host}:{self._address.port} after {timeout_seconds:g} s "
                f"({self._last_error}); check METERGATE_BROKER_URL, its user and its password"
            )

    def stop(self) -> None:
        """Finish the batch in hand and disconnect; what is not acknowledged stays with the broker."""
        self._stopping.set()
        while self._worker.is_alive():
            with contextlib.suppress(queue.Full):  # then it is awake anyway
                self._queue.put_nowait(None)
            self._worker.join(0.2)
        self._client.disconnect()
        self._client.loop_stop()

    # --- the network thread ---

    def _on_connect(
        self, client: Client, _userdata: Any, flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._last_error = f"the broker refused the connection: {reason}"
            log.error("%s", self._last_error)
            return
        self._new_generation()
        log.info("connected to the broker; %s session", "the kept" if flags.session_present else "a new")
        if self._filters.leave:
            client.unsubscribe(list(self._filters.leave))
        if not self._filters.subscribe:
            self._subscribed.set()
        elif self._settings.mqtt_version == "5":
            options = SubscribeOptions(qos=1, retainHandling=NEW_SUBSCRIPTION_ONLY)
            client.subscribe([(pattern, options) for pattern in self._filters.subscribe])
        else:
            client.subscribe([(pattern, 1) for pattern in self._filters.subscribe])

    def _on_subscribe(
        self, _client: Client, _userdata: Any, _mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        refused = [name for name, reason in zip(self._filters.subscribe, reasons, strict=False) if reason.is_failure]
        if refused:
            self._last_error = f"the broker refused the subscription to {', '.join(refused)}"
            log.error("%s; check its access control", self._last_error)
        else:
            self._subscribed.set()

    def _on_disconnect(
        self, _client: Client, _userdata: Any, _flags: Any, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        was_ready = self._subscribed.is_set()
        self._subscribed.clear()
        self._new_generation()
        if was_ready and not self._stopping.is_set():
            self._last_error = f"disconnected: {reason}"
            log.warning("the connection to the broker ended (%s); connecting again", reason)

    def _new_generation(self) -> None:
        with self._generation_lock:
            self._generation += 1

    def _on_message(self, _client: Client, _userdata: Any, received: MQTTMessage) -> None:
        try:
            topic = received.topic
        except UnicodeDecodeError:
            log.warning("a message on a topic that is not UTF-8 was dropped")  # MQTT forbids it
            return
        control = None
        if topic.startswith(f"{self._settings.topic_control}/"):
            control = ControlProperties(
                response_topic=getattr(received.properties, "ResponseTopic", None),
                correlation_data=getattr(received.properties, "CorrelationData", None),
            )
        entry = _Received(
            self._generation,
            received.mid,
            received.qos,
            Message(
                topic=topic, payload=bytes(received.payload), received_at=self._clock.now(), retained=received.retain
            ),
            control,
        )
        # The window keeps the queue from filling; a broker that ignores it waits here, and so does the network.
        while not self._stopping.is_set():
            try:
                self._queue.put(entry, timeout=1)
            except queue.Full:
                continue
            return

    # --- the worker ---

    def _work(self) -> None:
        while not self._stopping.is_set():
            batch = self._next_batch()
            for run in _runs(batch):
                self._settle(run)

    def _next_batch(self) -> list[_Received]:
        """What has arrived, without waiting for more: a quiet gateway answers at once."""
        batch: list[_Received] = []
        self._busy = False
        entry = self._queue.get()
        self._busy = True
        while entry is not None:
            batch.append(entry)
            if len(batch) >= self._settings.batch_max:
                break
            try:
                entry = self._queue.get_nowait()
            except queue.Empty:
                break
        return batch

    def _settle(self, run: Sequence[_Received]) -> None:
        """Commit a run of messages and acknowledge it; a fault of the database is waited out."""
        delay = RETRY_MIN_SECONDS
        while True:
            # The broker sends again what an ended connection left unacknowledged; QoS 0 comes only once.
            run = [entry for entry in run if entry.generation == self._generation or entry.qos == 0]
            if not run:
                return
            try:
                self._write(run)
            except StorageError as error:
                log.error("%d messages wait for the database: %s", len(run), error)  # noqa: TRY400 - one sentence
                if self._stopping.wait(delay):
                    return
                delay = min(2 * delay, RETRY_MAX_SECONDS)
            else:
                self._stored += len(run)
                self._acknowledge(run)
                return

    def _write(self, run: Sequence[_Received]) -> None:
        now = self._clock.now()
        if run[0].control is None:
            applied = ingest_batch(self._database, [entry.message for entry in run], self._rules, now=now)
            if applied.refused:
                log.warning("quarantined: %s", ", ".join(f"{n} {reason}" for reason, n in applied.refused.items()))
            self._forget_old_times()
            return
        (entry,) = run
        message = entry.message
        try:
            self._handle_control(message.topic, message.payload, message.retained, run[0].control)
        except StorageError:
            raise
        except Exception as error:
            log.exception("the command on %s failed and is quarantined", message.topic)
            with self._database.transaction() as session:
                quarantine.put(
                    session,
                    topic=message.topic,
                    payload=message.payload,
                    retained=message.retained,
                    received_at=message.received_at,
                    reason="failed",
                    detail=f"{type(error).__name__}: {error}",
                    object_reference=None,
                )

    def _forget_old_times(self) -> None:
        now = self._clock.now()
        if now >= self._forget_at:
            self._forget_at = now + timedelta(days=1)
            with self._database.transaction() as session:
                usage.forget_times(session, before=now - INBOX_KEPT)

    def _acknowledge(self, run: Sequence[_Received]) -> None:
        with self._generation_lock:
            for entry in run:
                if (
                    entry.qos
                    and entry.generation == self._generation
                    and self._client.ack(entry.mid, entry.qos) != MQTTErrorCode.MQTT_ERR_SUCCESS
                ):
                    log.warning("an acknowledgement could not be sent; the broker will repeat the message")


def _runs(batch: Sequence[_Received]) -> list[list[_Received]]:
    """The batch cut so that each command stands alone, in the order of arrival."""
    runs: list[list[_Received]] = []
    for entry in batch:
        if entry.control is None and runs and runs[-1][0].control is None:
            runs[-1].append(entry)
        else:
            runs.append([entry])
    return runs
