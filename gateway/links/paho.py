"""paho-mqtt behind the same interface: the well-known client, for those who would rather have it.

It reads in a thread of its own, so a queue lies between; a client object is one connection and is never reused.
"""

import logging
import queue
import threading
from collections.abc import Sequence
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.links.link import LinkError, LinkOptions, Publication
from gateway.links.packets import NEW_SUBSCRIPTION_ONLY, SESSION_NEVER_EXPIRES
from gateway.mqtt import new_client

log = logging.getLogger(__name__)
ANSWER_SECONDS = 10.0
TAKEN_OVER = "Session taken over"


class PahoLink:
    """One connection; see `Link`."""

    def __init__(self, options: LinkOptions) -> None:
        self._options = options
        self._five = options.mqtt_version == "5"
        # A broker that keeps to the window never fills it; one that does not waits here, and so does the network.
        self._queue: queue.Queue[Publication | None] = queue.Queue(maxsize=2 * options.receive_window)
        self._session_present = False
        self._joining: dict[int, tuple[str, ...]] = {}
        self._ready = threading.Event()
        self._ended: LinkError | None = None
        self._interrupted = threading.Event()
        client = self._client = new_client(
            options.address,
            client_id=options.client_id,
            mqtt_version=options.mqtt_version,
            manual_ack=True,
            clean=False,
            reconnect=False,
        )
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message

    def open(self) -> bool:
        options, address = self._options, self._options.address
        try:
            if self._five:
                properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho leaves it untyped
                properties.SessionExpiryInterval = SESSION_NEVER_EXPIRES
                properties.ReceiveMaximum = options.receive_window
                self._client.connect(
                    address.host, address.port, options.keepalive_seconds, clean_start=False, properties=properties
                )
            else:
                self._client.connect(address.host, address.port, options.keepalive_seconds)
        except (OSError, ValueError) as error:
            where = f"{address.host}:{address.port}"
            sentence = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error)
            raise LinkError(f"nothing answers at {where} ({sentence or type(error).__name__})") from None
        self._client.loop_start()
        if not self._ready.wait(ANSWER_SECONDS):
            raise self._ended or LinkError(f"the broker did not answer within {ANSWER_SECONDS:g} s")
        if self._ended is not None:
            raise self._ended
        return self._session_present

    def receive(self, limit: int) -> Sequence[Publication]:
        batch: list[Publication] = []
        entry = None if self._interrupted.is_set() else self._queue.get()
        while entry is not None:
            batch.append(entry)
            if len(batch) >= limit:
                break
            try:
                entry = self._queue.get_nowait()
            except queue.Empty:
                break
        if self._ended is not None and not self._interrupted.is_set():
            batch = [message for message in batch if not message.packet_id]
            if not batch:
                raise self._ended
            self._wake()  # so that the next call comes to its end too
        return batch

    def stands(self) -> bool:
        return self._ended is None or self._interrupted.is_set()

    def acknowledge(self, packet_ids: Sequence[int]) -> None:
        for packet_id in packet_ids:
            if self._ended is not None:
                raise self._ended
            if self._client.ack(packet_id, 1) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                raise LinkError("an acknowledgement could not be sent; the broker will repeat the message")

    def join(self, filters: Sequence[str]) -> None:
        if not filters:
            return
        if self._five:
            options = SubscribeOptions(qos=1, retainHandling=NEW_SUBSCRIPTION_ONLY)
            _, packet_id = self._client.subscribe([(pattern, options) for pattern in filters])
        else:
            _, packet_id = self._client.subscribe([(pattern, 1) for pattern in filters])
        if packet_id is not None:
            self._joining[packet_id] = tuple(filters)

    def leave(self, filters: Sequence[str]) -> None:
        if filters:
            self._client.unsubscribe(list(filters))

    def interrupt(self) -> None:
        self._interrupted.set()
        self._wake()

    def close(self) -> None:
        self._interrupted.set()
        self._client.disconnect()
        self._client.loop_stop()

    def _wake(self) -> None:
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return  # then nobody waits at it

    def _end(self, sentence: str, *, taken_over: bool = False) -> None:
        if self._ended is None:
            self._ended = LinkError(sentence, taken_over=taken_over)
        self._ready.set()
        self._wake()

    # --- paho's thread ---

    def _on_connect(
        self, client: Client, _userdata: Any, flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._end(f"the broker refused the connection: {str(reason).lower()}")
            return
        self._session_present = bool(flags.session_present)
        if self._options.leave:
            client.unsubscribe(list(self._options.leave))
        if not self._options.subscribe:
            self._ready.set()
        elif self._five:
            options = SubscribeOptions(qos=1, retainHandling=NEW_SUBSCRIPTION_ONLY)
            client.subscribe([(pattern, options) for pattern in self._options.subscribe])
        else:
            client.subscribe([(pattern, 1) for pattern in self._options.subscribe])

    def _on_subscribe(
        self, _client: Client, _userdata: Any, mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        if self._ready.is_set():
            filters = self._joining.pop(mid, ())
            refused = [f for f, reason in zip(filters, reasons, strict=False) if reason.is_failure]
            if refused:
                log.error("the broker refused %s; check its access control", ", ".join(refused))
            return
        refused = [f for f, reason in zip(self._options.subscribe, reasons, strict=False) if reason.is_failure]
        if refused:
            self._end(f"the broker refused the subscription to {', '.join(refused)}; check its access control")
        else:
            self._ready.set()

    def _on_disconnect(
        self, _client: Client, _userdata: Any, _flags: Any, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self._end(f"the connection ended: {str(reason).lower()}", taken_over=str(reason) == TAKEN_OVER)

    def _on_message(self, _client: Client, _userdata: Any, received: MQTTMessage) -> None:
        try:
            topic = received.topic
        except UnicodeDecodeError:
            self._client.disconnect()  # MQTT forbids it: this is no broker to go on with
            return
        entry = Publication(
            topic,
            bytes(received.payload),
            received.mid if received.qos else 0,
            received.retain,
            getattr(received.properties, "ResponseTopic", None),
            getattr(received.properties, "CorrelationData", None),
        )
        while not self._interrupted.is_set():
            try:
                self._queue.put(entry, timeout=1)
            except queue.Full:
                continue
            return
