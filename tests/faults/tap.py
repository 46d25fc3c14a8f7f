"""A wire tap between the gateway and its broker: it sees what is delivered and what is acknowledged, and judges it.

It shares no code with the gateway. Its law, kept in every test that looks at `tap.violations`: an acknowledgement is
for a message that was delivered on that very connection and is not acknowledged yet.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

CONNECT, PUBLISH, PUBACK, SUBACK, PINGREQ = 1, 3, 4, 9, 12
PACKET_MAX_BYTES = 1_000_000


@dataclass
class Conversation:
    """One connection under the watched client id."""

    waiting: dict[int, bytes] = field(default_factory=dict)
    """Payloads delivered at QoS 1 and not acknowledged, by packet id."""
    aside: set[int] = field(default_factory=set)
    """Packet ids of the broker's own figures, which are no JSON and store nothing."""
    acknowledged: list[bytes] = field(default_factory=list)
    pings: int = 0
    subscribed: bool = False
    open: bool = True


@dataclass
class Tap:
    """Listens on `port`. `before_ack` sees payloads before their acknowledgements are passed on; False drops them."""

    broker_port: int
    client_id: str
    port: int = 0
    conversations: list[Conversation] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    before_ack: Callable[[list[bytes]], bool] = lambda _payloads: True
    _sockets: list[socket.socket] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def acknowledged(self) -> list[bytes]:
        """All payloads acknowledged so far, over every connection."""
        with self._lock:
            return [payload for it in self.conversations for payload in it.acknowledged]

    @property
    def listening(self) -> bool:
        """Whether the newest connection is open and its subscriptions stand."""
        with self._lock:
            return bool(self.conversations) and self.conversations[-1].subscribed and self.conversations[-1].open

    @property
    def pings(self) -> int:
        with self._lock:
            return sum(it.pings for it in self.conversations)

    def url(self, user: str = "gateway") -> str:
        return f"mqtt://{user}:{user}@127.0.0.1:{self.port}"

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(("127.0.0.1", self.broker_port))
            except OSError:
                client.close()
                continue
            with self._lock:
                self._sockets += [client, broker]
            link = _Link(self, client, broker)
            threading.Thread(target=link.upwards, daemon=True).start()
            threading.Thread(target=link.downwards, daemon=True).start()

    def close(self) -> None:
        with self._lock:
            sockets = list(self._sockets)
        for each in sockets:
            _shut(each)

    def delivered(self, talk: Conversation, packet_id: int, payload: bytes) -> None:
        with self._lock:
            if payload.startswith((b"{", b"[")):
                talk.waiting[packet_id] = payload
            else:
                talk.aside.add(packet_id)

    def acks(self, talk: Conversation, packet_ids: list[int]) -> bool:
        payloads = []
        with self._lock:
            for packet_id in packet_ids:
                payload = talk.waiting.pop(packet_id, None)
                if packet_id in talk.aside:
                    talk.aside.discard(packet_id)
                elif payload is None:
                    self.violations.append(f"packet {packet_id} was acknowledged, but not delivered on this connection")
                else:
                    payloads.append(payload)
        if not self.before_ack(payloads):
            return False
        with self._lock:
            talk.acknowledged += payloads
        return True


class _Link:
    """Two sockets and what flows between them, packet by packet."""

    def __init__(self, tap: Tap, client: socket.socket, broker: socket.socket) -> None:
        self._tap, self._client, self._broker = tap, client, broker
        self._talk: Conversation | None = None
        self._five = False

    def upwards(self) -> None:
        for packets, raw in _packets(self._client):
            acks: list[int] = []
            for first, body in packets:
                if first >> 4 == CONNECT:
                    self._connects(body)
                elif self._talk is not None and first >> 4 == PINGREQ:
                    self._talk.pings += 1
                elif self._talk is not None and first >> 4 == PUBACK:
                    acks.append(int.from_bytes(body[:2], "big"))
            if acks and self._talk is not None and not self._tap.acks(self._talk, acks):
                break
            with contextlib.suppress(OSError):
                self._broker.sendall(raw)
        self._end()

    def downwards(self) -> None:
        for packets, raw in _packets(self._broker):
            for first, body in packets:
                if self._talk is not None and first >> 4 == PUBLISH and first & 0b110:
                    packet_id, payload = _published(body, five=self._five)
                    self._tap.delivered(self._talk, packet_id, payload)
                elif self._talk is not None and first >> 4 == SUBACK:
                    self._talk.subscribed = True
            with contextlib.suppress(OSError):
                self._client.sendall(raw)
        self._end()

    def _connects(self, body: bytes) -> None:
        self._five = body[6] == 5
        at = 10
        if self._five:
            length, at = _variable(body, at)
            at += length
        size = int.from_bytes(body[at : at + 2], "big")
        if body[at + 2 : at + 2 + size].decode() == self._tap.client_id:
            self._talk = Conversation()
            with self._tap._lock:
                self._tap.conversations.append(self._talk)

    def _end(self) -> None:
        if self._talk is not None:
            self._talk.open = False
        _shut(self._client)
        _shut(self._broker)


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


def _variable(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """An MQTT variable byte integer at `at`, and where it ends; IndexError when it is not whole."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def _packets(source: socket.socket) -> Iterator[tuple[list[tuple[int, bytes]], bytes]]:
    """What has arrived, as whole packets (first byte and body) and as the bytes that they are made of."""
    held = bytearray()
    while True:
        try:
            arrived = source.recv(1 << 16)
        except OSError:
            return
        if not arrived:
            return
        held += arrived
        packets, start = [], 0
        while True:
            try:
                size, body = _variable(held, start + 1)
            except IndexError:
                break
            assert size < PACKET_MAX_BYTES
            if body + size > len(held):
                break
            packets.append((held[start], bytes(held[body : body + size])))
            start = body + size
        raw = bytes(held[:start])
        del held[:start]
        if packets:
            yield packets, raw


def _published(body: bytes, *, five: bool) -> tuple[int, bytes]:
    at = 2 + int.from_bytes(body[:2], "big")
    packet_id = int.from_bytes(body[at : at + 2], "big")
    at += 2
    if five:
        length, at = _variable(body, at)
        at += length
    return packet_id, body[at:]


@contextmanager
def tapped(broker_port: int, client_id: str = "metergate") -> Iterator[Tap]:
    """A tap that runs; connections that the broker refuses while it is down are closed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        tap = Tap(broker_port=broker_port, client_id=client_id, port=listener.getsockname()[1])
        thread = threading.Thread(target=tap.serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield tap
        finally:
            _shut(listener)
            tap.close()
            thread.join(5)
