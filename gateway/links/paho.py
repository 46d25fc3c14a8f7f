"""paho-mqtt behind the same interface: the well-known client, for those who would rather have it.

paho reads a packet in four calls to the kernel and is not made to be used from two threads at once. So it is given a
connection that holds what has arrived, and the thread that receives also works, as in our own client: paho only ever
reads what is there already. A client object is one connection and is never reused.
"""

import logging
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, cast

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.attached import Attached, attached
from gateway.links import packets
from gateway.links.link import LinkError, LinkOptions, Publication
from gateway.links.packets import NEW_SUBSCRIPTION_ONLY, SESSION_NEVER_EXPIRES
from gateway.links.stream import Stream
from gateway.mqtt import Address, new_client

log = logging.getLogger(__name__)
ANSWER_SECONDS = 10.0
READ_BYTES = 65_536
"""Asked of the kernel at once: some 300 messages."""
BATCH_BYTES = 8 * 1024 * 1024
"""Read for one batch, and one piece more: large messages make smaller batches, so that the memory is bounded."""
TAKEN_OVER = "Session taken over"


def attached_by(properties: Properties | None) -> Attached | None:
    """The content type and the user properties of a message, as paho has them."""
    content_type, pairs = getattr(properties, "ContentType", None), getattr(properties, "UserProperty", None)
    if content_type is None and pairs is None:
        return None
    return attached(
        None if content_type is None else content_type.encode(),
        [(name.encode(), value.encode()) for name, value in pairs or ()],
    )


class Held:
    """A connection as paho wants one, which gives out what `fill` took from the stream and never waits."""

    def __init__(self, address: Address, connection: socket.socket) -> None:
        self._stream = Stream(address, connection)
        self._piece, self._at = b"", 0

    def fill(self, seconds: float | None) -> int:
        """Take what has arrived, waiting so long for it; how many bytes. Raises LinkError at the end of the stream."""
        self._piece, self._at = self._stream.read(READ_BYTES, seconds), 0
        return len(self._piece)

    @property
    def is_empty(self) -> bool:
        """Whether all of it was given out."""
        return self._at >= len(self._piece)

    def recv(self, size: int) -> bytes:
        at = self._at
        found = self._piece[at : at + size]
        if not found:
            raise BlockingIOError
        self._at = at + len(found)
        return found

    def send(self, data: bytes | bytearray) -> int:
        """All of it."""
        try:
            self._stream.write(bytes(data))
        except LinkError as error:
            raise OSError(str(error)) from None
        return len(data)

    def is_over(self) -> bool:
        return self._stream.is_over()

    def wake(self) -> None:
        self._stream.wake()

    def close(self) -> None:
        self._stream.close()

    def settimeout(self, seconds: float) -> None:
        """Nothing: the stream has limits of its own."""

    def setblocking(self, wait: bool) -> None:  # noqa: FBT001 - the signature of a socket
        """Nothing: it never waits."""

    def do_handshake(self) -> None:
        """Nothing: it is done when the stream is made."""


class Wrapping:
    """What paho takes for a TLS context: it asks it to wrap each connection that it makes."""

    check_hostname = True
    """So that paho does not check the name once more: the stream has, where there is TLS."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self.held: Held | None = None

    def wrap_socket(self, connection: socket.socket, **_options: object) -> Held:
        self.held = Held(self._address, connection)
        return self.held


class PahoLink:
    """One connection; see `Link`."""

    def __init__(self, options: LinkOptions) -> None:
        self._options = options
        self._five = options.mqtt_version == "5"
        self._arrived: deque[Publication] = deque()
        self._exactly_once: set[int] = set()
        self._writing = threading.RLock()
        self._session_present = False
        self._joining: dict[int, tuple[str, ...]] = {}
        self._ready = False
        self._ended: LinkError | None = None
        self._interrupted = False
        self._read_bytes = 0
        self._heard_at = time.monotonic()
        self._no_more_pings = threading.Event()
        self._pinger = threading.Thread(target=self._ping, name="metergate-ping", daemon=True)
        self._wrapping = Wrapping(options.address)
        client = self._client = new_client(
            options.address,
            client_id=options.client_id,
            mqtt_version=options.mqtt_version,
            manual_ack=True,
            clean=False,
            reconnect=False,
            wrapping=cast("ssl.SSLContext", self._wrapping),
        )
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        # With it, paho leaves every write to us, whoever asks for it.
        client.on_socket_register_write = lambda _client, _userdata, _socket: None

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
            sentence = getattr(error, "strerror", "") or str(error) or type(error).__name__
            raise LinkError(f"nothing answers at {where} ({sentence})") from None
        self._flush()
        deadline = time.monotonic() + ANSWER_SECONDS
        # Mosquitto 2.0 sends a kept session's whole queue before the answer to the subscription: see native.py.
        while not self._ready and len(self._arrived) < options.receive_window and self._read_bytes < BATCH_BYTES:
            left = deadline - time.monotonic()
            if left <= 0 or self._interrupted:
                raise LinkError(f"the broker did not answer within {ANSWER_SECONDS:g} s")
            self._read(seconds=left)
        self._pinger.start()
        return self._session_present

    def receive(self, limit: int) -> Sequence[Publication]:
        silence = 1.5 * self._options.keepalive_seconds
        while not self._arrived and not self._interrupted:
            if not self._read(seconds=silence) and time.monotonic() - self._heard_at >= silence:
                self._ended = LinkError(f"the broker was silent for {silence:g} s")
        while (
            len(self._arrived) < limit
            and self._read_bytes < BATCH_BYTES
            and self._ended is None
            and not self._interrupted
            and self._read(seconds=None)
        ):
            pass
        self._read_bytes = 0
        return [self._arrived.popleft() for _ in range(min(limit, len(self._arrived)))]

    def stands(self) -> bool:
        held = self._wrapping.held
        return self._ended is None and held is not None and not held.is_over()

    def acknowledge(self, packet_ids: Sequence[int]) -> None:
        if self._ended is not None:
            raise self._ended
        if self._exactly_once:
            for packet_id in self._exactly_once.intersection(packet_ids):
                self._exactly_once.discard(packet_id)
                self._client.ack(packet_id, 2)
                packet_ids = [other for other in packet_ids if other != packet_id]
            self._flush()
        if packet_ids:
            self._write(packets.acknowledge(packet_ids, exactly_once=set()))

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
        self._flush()

    def leave(self, filters: Sequence[str]) -> None:
        if filters:
            self._client.unsubscribe(list(filters))
            self._flush()

    def interrupt(self) -> None:
        self._interrupted = True
        if self._wrapping.held is not None:
            self._wrapping.held.wake()

    def close(self) -> None:
        self._no_more_pings.set()
        self._client.disconnect()
        self._flush()
        if self._wrapping.held is not None:
            self._wrapping.held.close()
        if self._pinger.is_alive():
            self._pinger.join()

    # --- reading ---

    def _read(self, *, seconds: float | None) -> bool:
        """Take in what has arrived; whether anything had. Ended connections give out what they hold at QoS 0 first."""
        if self._ended is not None:
            raise self._ended
        held, client = self._wrapping.held, self._client
        assert held is not None  # noqa: S101 - `open` came first
        try:
            found = held.fill(seconds)
        except LinkError as error:
            self._end(error)
        else:
            if not found:
                return False
            self._heard_at = time.monotonic()
            self._read_bytes += found
            while not held.is_empty and self._ended is None:
                client.loop_read()
            if client.want_write():
                self._flush()
        self._drop_if_ended()
        return True

    def _drop_if_ended(self) -> None:
        """What is acknowledged after the end cannot be said any more, so only QoS 0 is still given out."""
        if self._ended is not None:
            self._arrived = deque(message for message in self._arrived if not message.packet_id)
            if not self._arrived and not self._interrupted:
                raise self._ended

    def _end(self, error: LinkError) -> None:
        if self._ended is None:
            self._ended = error

    # --- writing ---

    def _write(self, data: bytes) -> None:
        held = self._wrapping.held
        assert held is not None  # noqa: S101 - `open` came first
        try:
            held.send(data)
        except OSError as error:
            self._end(LinkError(str(error)))
            raise self._ended or LinkError(str(error)) from None

    def _flush(self) -> None:
        """Send what paho wants to send; one thread at a time, because others may subscribe."""
        with self._writing:
            while self._client.want_write() and self._client.socket() is not None:
                self._client.loop_write()

    def _ping(self) -> None:
        while not self._no_more_pings.wait(self._options.keepalive_seconds / 2):
            try:
                self._write(packets.PING)
            except LinkError:
                return  # the reading thread finds out for itself

    # --- what paho tells ---

    def _on_connect(
        self, client: Client, _userdata: Any, flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._end(LinkError(f"the broker refused the connection: {str(reason).lower()}"))
            return
        self._session_present = bool(flags.session_present)
        if self._options.leave:
            client.unsubscribe(list(self._options.leave))
        if not self._options.subscribe:
            self._ready = True
        elif self._five:
            options = SubscribeOptions(qos=1, retainHandling=NEW_SUBSCRIPTION_ONLY)
            client.subscribe([(pattern, options) for pattern in self._options.subscribe])
        else:
            client.subscribe([(pattern, 1) for pattern in self._options.subscribe])

    def _on_subscribe(
        self, _client: Client, _userdata: Any, mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        if mid in self._joining:
            filters = self._joining.pop(mid)
            refused = [f for f, reason in zip(filters, reasons, strict=False) if reason.is_failure]
            if refused:
                log.error("the broker refused %s; check its access control", ", ".join(refused))
            return
        refused = [f for f, reason in zip(self._options.subscribe, reasons, strict=False) if reason.is_failure]
        if refused:
            self._end(
                LinkError(f"the broker refused the subscription to {', '.join(refused)}; check its access control")
            )
        else:
            self._ready = True

    def _on_disconnect(
        self, _client: Client, _userdata: Any, _flags: Any, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        sentence = f"the connection ended: {str(reason).lower()}"
        self._end(LinkError(sentence, taken_over=str(reason) == TAKEN_OVER))

    def _on_message(self, client: Client, _userdata: Any, received: MQTTMessage) -> None:
        try:
            topic = received.topic
        except UnicodeDecodeError:
            client.disconnect()  # MQTT forbids it: this is no broker to go on with
            return
        qos, properties = received.qos, received.properties
        if qos > 1:
            self._exactly_once.add(received.mid)
        self._arrived.append(
            Publication(
                topic,
                bytes(received.payload),
                received.mid if qos else 0,
                received.retain,
                getattr(properties, "ResponseTopic", None),
                getattr(properties, "CorrelationData", None),
                attached_by(properties),
            )
        )
