"""paho-mqtt behind the same interface: the well-known client, for those who would rather have it.

A thread of its own talks to the broker, by paho's calls for a loop of one's own: messages are handed over in runs, and
the acknowledgements of a batch go out in one write; its ready-made loop does both one by one. A client object is one
connection and is never reused.
"""

import logging
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.links import packets
from gateway.links.link import LinkError, LinkOptions, Publication
from gateway.links.packets import NEW_SUBSCRIPTION_ONLY, SESSION_NEVER_EXPIRES
from gateway.mqtt import new_client

log = logging.getLogger(__name__)
ANSWER_SECONDS = 10.0
CLOSE_SECONDS = 5.0
"""How long the last acknowledgements and the goodbye may take."""
MISC_SECONDS = 1.0
"""How often paho looks after its keepalive."""
RUN_MAX = 500
"""Messages handed over at once while more arrive."""
TAKEN_OVER = "Session taken over"


class PahoLink:
    """One connection; see `Link`."""

    def __init__(self, options: LinkOptions) -> None:
        self._options = options
        self._five = options.mqtt_version == "5"
        # A broker that keeps to the window never fills it; one that does not is not listened to for a while.
        self._waiting_max = 2 * options.receive_window
        self._waiting: deque[Publication] = deque()
        self._changed = threading.Condition()
        self._arrived: list[Publication] = []
        self._done: deque[bytes] = deque()
        self._unsent = b""
        self._exactly_once: set[int] = set()
        self._closing = False
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._thread = threading.Thread(target=self._talk, name="metergate-paho", daemon=True)
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
        # With it, paho leaves every write to our own loop, whoever asks for it.
        client.on_socket_register_write = lambda _client, _userdata, _socket: self._wake()

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
        self._thread.start()
        if not self._ready.wait(ANSWER_SECONDS):
            raise self._ended or LinkError(f"the broker did not answer within {ANSWER_SECONDS:g} s")
        if self._ended is not None:
            raise self._ended
        return self._session_present

    def receive(self, limit: int) -> Sequence[Publication]:
        with self._changed:
            while not self._waiting and self._ended is None and not self._interrupted.is_set():
                self._changed.wait()
            if self._interrupted.is_set():
                return []
            if self._ended is not None:
                self._waiting = deque(message for message in self._waiting if not message.packet_id)
                if not self._waiting:
                    raise self._ended
            full = len(self._waiting) >= self._waiting_max
            batch = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        if full:
            self._wake()
        return batch

    def stands(self) -> bool:
        return self._ended is None or self._interrupted.is_set()

    def acknowledge(self, packet_ids: Sequence[int]) -> None:
        if self._ended is not None:
            raise self._ended
        if self._exactly_once:
            for packet_id in self._exactly_once.intersection(packet_ids):
                self._exactly_once.discard(packet_id)
                self._client.ack(packet_id, 2)
                packet_ids = [other for other in packet_ids if other != packet_id]
        self._done.append(packets.acknowledge(packet_ids, exactly_once=set()))
        self._wake()

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
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        self._interrupted.set()
        self._closing = True
        self._wake()
        if self._thread.is_alive():
            self._thread.join(CLOSE_SECONDS)
        if not self._thread.is_alive():
            self._woken.close()
            self._waker.close()

    def _wake(self) -> None:
        try:
            self._waker.send(b".")
        except OSError:
            return  # it is awake already, or has ended

    def _end(self, sentence: str, *, taken_over: bool = False) -> None:
        if self._ended is None:
            self._ended = LinkError(sentence, taken_over=taken_over)
        self._ready.set()
        with self._changed:
            self._changed.notify_all()

    # --- the thread that talks to the broker ---

    def _talk(self) -> None:
        client, misc_at = self._client, 0.0
        while (connection := client.socket()) is not None:
            sent = self._send(connection)
            if self._closing and sent:
                client.disconnect()
                client.loop_write()
                break
            listening = len(self._waiting) < self._waiting_max
            before = len(self._arrived)
            if listening:
                client.loop_read()
            more = len(self._arrived) > before
            if more and len(self._arrived) < RUN_MAX:
                continue
            self._hand_over()
            if time.monotonic() >= misc_at:
                misc_at = time.monotonic() + MISC_SECONDS
                client.loop_misc()
            if not more and client.socket() is not None:
                self._wait(connection, reading=listening, writing=not sent)
        self._hand_over()
        self._end("the connection ended")

    def _hand_over(self) -> None:
        if self._arrived:
            with self._changed:
                self._waiting.extend(self._arrived)
                self._changed.notify_all()
            self._arrived.clear()

    def _send(self, connection: Any) -> bool:
        """Send what waits to be sent, paho's packets and our acknowledgements in turn; whether all of it is out."""
        client = self._client
        if client.want_write() and not self._unsent:
            client.loop_write()
        while (self._done or self._unsent) and not client.want_write():
            while self._done:
                self._unsent += self._done.popleft()
            try:
                self._unsent = self._unsent[connection.send(self._unsent) :]
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return False
            except OSError:
                return True  # the next read says that it has ended
        return not client.want_write()

    def _wait(self, connection: Any, *, reading: bool, writing: bool) -> None:
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        poll.register(connection, (select.POLLIN if reading else 0) | (select.POLLOUT if writing else 0))
        poll.poll(MISC_SECONDS * 1000)
        try:
            while self._woken.recv(4096):
                pass
        except BlockingIOError:
            return

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
        if received.qos > 1:
            self._exactly_once.add(received.mid)
        self._arrived.append(
            Publication(
                topic,
                bytes(received.payload),
                received.mid if received.qos else 0,
                received.retain,
                getattr(received.properties, "ResponseTopic", None),
                getattr(received.properties, "CorrelationData", None),
            )
        )
