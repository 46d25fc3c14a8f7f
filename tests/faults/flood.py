"""A publisher that is not the bottleneck: MQTT 3.1.1 packets made beforehand and written in one go."""

import socket
import struct
from collections.abc import Iterable

CHUNK = 500
ANSWER_SECONDS = 60


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def _packet(first: int, body: bytes) -> bytes:
    size, length = len(body), b""
    while True:
        size, digit = divmod(size, 128)
        length += bytes([digit | 128 if size else digit])
        if not size:
            return bytes([first]) + length + body


def flood(port: int, user: str, messages: Iterable[tuple[str, str, int]]) -> None:
    """Publish `(topic, payload, qos)` each; returns when every one at QoS 1 is acknowledged and QoS 0 has left."""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS) as wire:
        connect = _text("MQTT") + bytes([4, 0xC2]) + struct.pack(">H", 600) + _text("flood") + _text(user) + _text(user)
        wire.sendall(_packet(0x10, connect))
        answer = wire.recv(4)
        assert answer == b"\x20\x02\x00\x00", f"the broker refused the connection: {answer!r}"
        batch, waiting, packet_id = bytearray(), 0, 0
        for count, (topic, payload, qos) in enumerate(messages, start=1):
            body = _text(topic)
            if qos:
                packet_id = packet_id % 65535 + 1
                body += struct.pack(">H", packet_id)
                waiting += 1
            batch += _packet(0x30 | qos << 1, body + payload.encode())
            if count % CHUNK == 0:
                wire.sendall(batch)
                batch.clear()
                _await(wire, waiting)
                waiting = 0
        # One answer more: what was written before it has been read.
        wire.sendall(batch + b"\xc0\x00")
        _await(wire, waiting, extra=2)
        wire.sendall(b"\xe0\x00")


def _await(wire: socket.socket, acknowledgements: int, extra: int = 0) -> None:
    missing = 4 * acknowledgements + extra
    while missing > 0:
        arrived = wire.recv(missing)
        assert arrived, "the broker closed the connection"
        missing -= len(arrived)
