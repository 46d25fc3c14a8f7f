"""MQTT packets, the half that a receiver needs: bytes to packets, packets to bytes; no I/O.

The law: any bytes in any pieces give packets or one ProtocolError, and no more memory is held than one packet of the
size that was announced. MQTT 3.1.1 and 5 (OASIS standards; section numbers are those of MQTT 5.0).
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from gateway.links.link import Publication
from gateway.links.properties import (
    SERVER_KEEP_ALIVE,
    ProtocolError,
    connack_properties,
    property_length,
    publish_properties,
    variable_length,
)

__all__ = ["Connack", "Disconnect", "Packet", "Pingresp", "ProtocolError", "Reader", "Suback", "Unsuback"]

CONNECT, CONNACK, PUBLISH, PUBREL = 1, 2, 3, 6
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 8, 9, 10, 11
PUBACK_HEAD, PUBREC_HEAD, PUBCOMP_HEAD = 0x4002, 0x5002, 0x7002
"""The two bytes before the packet id: an acknowledgement in its short form, which is success in both versions."""
AT_LEAST_ONCE, EXACTLY_ONCE = 1, 2
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14
FLAGS = MappingProxyType({CONNACK: 0, PUBREL: 2, SUBACK: 0, UNSUBACK: 0, PINGRESP: 0, DISCONNECT: 0})
"""What the broker may send beside PUBLISH, with the flags that the standard fixes (2.1.3)."""
HEADER_BYTES_MIN, ONE_BYTE_MAX = 2, 0x7F
"""Type and length (2.1); the largest length that takes one byte."""
PUBLISH_HEAD, DUPLICATE = PUBLISH << 4, 8
"""The flag of a message that was sent before (3.3.1.1)."""
SESSION_NEVER_EXPIRES = 0xFFFFFFFF
NEW_SUBSCRIPTION_ONLY = 1
"""Retain handling (3.8.3.1): stored copies come once, not at every reconnection."""
PING = b"\xc0\x00"
TAKEN_OVER = 0x8E
REASONS: Mapping[int, str] = MappingProxyType(
    {
        0x01: "unacceptable protocol version",
        0x02: "client identifier rejected",
        0x03: "server unavailable",
        0x04: "bad user name or password",
        0x05: "not authorized",
        0x80: "unspecified error",
        0x81: "malformed packet",
        0x82: "protocol error",
        0x83: "implementation specific error",
        0x84: "unsupported protocol version",
        0x85: "client identifier not valid",
        0x86: "bad user name or password",
        0x87: "not authorized",
        0x88: "server unavailable",
        0x89: "server busy",
        0x8A: "banned",
        0x8B: "server shutting down",
        0x8C: "bad authentication method",
        0x8D: "keep alive timeout",
        0x8E: "session taken over",
        0x8F: "topic filter invalid",
        0x90: "topic name invalid",
        0x93: "receive maximum exceeded",
        0x95: "packet too large",
        0x97: "quota exceeded",
        0x98: "administrative action",
        0x99: "payload format invalid",
        0x9A: "retain not supported",
        0x9B: "QoS not supported",
        0x9C: "use another server",
        0x9D: "server moved",
        0x9E: "shared subscriptions not supported",
        0x9F: "connection rate exceeded",
        0xA0: "maximum connect time",
        0xA1: "subscription identifiers not supported",
        0xA2: "wildcard subscriptions not supported",
    }
)
"""Reason codes of MQTT 5 (2.4) and return codes of MQTT 3.1.1 (3.2.2.3), in words."""


class Connack(NamedTuple):
    session_present: bool
    code: int
    keepalive_seconds: int = 0
    """What the broker wants instead of ours (3.2.2.3.14); 0 when it agrees."""


class Suback(NamedTuple):
    packet_id: int
    codes: tuple[int, ...]


class Unsuback(NamedTuple):
    packet_id: int


class Pubrel(NamedTuple):
    packet_id: int


class Pingresp(NamedTuple):
    pass


class Disconnect(NamedTuple):
    code: int


Answer: TypeAlias = Connack | Suback | Unsuback | Pubrel | Pingresp | Disconnect
Packet: TypeAlias = Publication | Answer


_new = tuple.__new__


def reason(code: int) -> str:
    """A reason code in words."""
    return REASONS.get(code, f"reason code {code:#04x}")


# --- what we send -----------------------------------------------------------------------------------------


def connect(
    *,
    five: bool,
    client_id: str,
    user: str | None,
    password: str | None,
    keepalive_seconds: int,
    receive_window: int,
    maximum_packet_bytes: int,
) -> bytes:
    """A CONNECT that keeps the session (3.1): it is neither wiped at the start nor does it expire at the end."""
    flags = (0x80 if user is not None else 0) | (0x40 if password is not None else 0)
    properties = b""
    if five:
        inside = struct.pack(">BIBHBI", 0x11, SESSION_NEVER_EXPIRES, 0x21, receive_window, 0x27, maximum_packet_bytes)
        properties = _length(len(inside)) + inside
    body = (
        _text("MQTT")
        + struct.pack(">BBH", 5 if five else 4, flags, keepalive_seconds)
        + properties
        + _text(client_id)
        + (b"" if user is None else _text(user))
        + (b"" if password is None else _text(password))
    )
    return _packet(CONNECT << 4, body)


def subscribe(packet_id: int, filters: Sequence[str], *, five: bool) -> bytes:
    """A SUBSCRIBE at QoS 1 (3.8). A shared one takes no retain handling of its own: it never has stored copies."""
    options = bytes([1 | NEW_SUBSCRIPTION_ONLY << 4 if five else 1])
    body = b"".join(_text(pattern) + options for pattern in filters)
    return _packet(SUBSCRIBE << 4 | 2, struct.pack(">H", packet_id) + (b"\0" if five else b"") + body)


def unsubscribe(packet_id: int, filters: Sequence[str], *, five: bool) -> bytes:
    """An UNSUBSCRIBE (3.10)."""
    body = b"".join(_text(pattern) for pattern in filters)
    return _packet(UNSUBSCRIBE << 4 | 2, struct.pack(">H", packet_id) + (b"\0" if five else b"") + body)


def acknowledge(packet_ids: Sequence[int], *, exactly_once: set[int]) -> bytes:
    """A PUBACK for each (3.4), one after the other; a PUBREC (3.5) for those in `exactly_once`, which they leave."""
    words = [PUBACK_HEAD] * (2 * len(packet_ids))
    words[1::2] = packet_ids
    if exactly_once:
        for place, packet_id in enumerate(packet_ids):
            if packet_id in exactly_once:
                exactly_once.remove(packet_id)
                words[2 * place] = PUBREC_HEAD
    return struct.pack(f">{len(words)}H", *words)


def complete(packet_id: int) -> bytes:
    """A PUBCOMP (3.7): the broker may forget a message at QoS 2."""
    return struct.pack(">HH", PUBCOMP_HEAD, packet_id)


def disconnect() -> bytes:
    """A normal DISCONNECT (3.14): the session stays."""
    return b"\xe0\x00"


def _packet(head: int, body: bytes) -> bytes:
    return bytes([head]) + _length(len(body)) + body


def _length(value: int) -> bytes:
    out = bytearray()
    while True:
        value, seven = value >> 7, value & 0x7F
        out.append(seven | (0x80 if value else 0))
        if not value:
            return bytes(out)


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack(">H", len(data)) + data


# --- what we are sent -------------------------------------------------------------------------------------


class Reader:
    """Puts pieces of the stream together and gives out whole packets.

    We subscribe at QoS 1, but a kept session may hold more, from whoever used its client id before: refusing it would
    end every connection at the same message. `exactly_once` has the packet ids that came at QoS 2.
    """

    def __init__(self, *, five: bool, maximum_packet_bytes: int) -> None:
        self._five = five
        self._maximum = maximum_packet_bytes
        self._buffer = bytearray()
        self._wanted = 2
        self.exactly_once: set[int] = set()

    def feed(self, piece: bytes) -> list[Packet]:  # noqa: C901, PLR0912, PLR0915 - in line, for speed
        """The packets that are whole now. Raises ProtocolError; the stream is of no use after it."""
        if self._buffer:
            self._buffer += piece
            # A large packet in small pieces is looked at once, when it is whole.
            if len(self._buffer) < self._wanted:
                return []
            piece = bytes(self._buffer)
            self._buffer = bytearray()
        found: list[Packet] = []
        five, maximum = self._five, self._maximum
        at, end = 0, len(piece)
        self._wanted = 2
        while end - at >= HEADER_BYTES_MIN:
            length, body = piece[at + 1], at + 2
            if length > ONE_BYTE_MAX:
                if body < end and piece[body] <= ONE_BYTE_MAX:  # two bytes, as most messages have
                    length, body = length - 128 + (piece[body] << 7), body + 1
                else:
                    length, body = variable_length(piece, at + 1, end)
                    if not body:
                        self._wanted = end - at + 1
                        break
            stop = body + length
            if stop - at > maximum:
                raise ProtocolError(f"a packet of {stop - at} bytes, more than the {maximum} announced")
            if stop > end:
                self._wanted = stop - at
                break
            head = piece[at]
            at = stop
            if head & 0xF0 != PUBLISH_HEAD:
                found.append(_other(piece[body:stop], head, five=five))
                continue
            # A PUBLISH (3.3): what comes a hundred thousand times a second, so without a call where none is needed.
            qos = head >> 1 & 3
            begins_at = body + 2
            ends_at = begins_at + (piece[body] << 8 | piece[body + 1]) if begins_at <= stop else stop
            payload_at = ends_at + (2 if qos else 0)
            if payload_at + five > stop:
                raise ProtocolError("a message that ends before its payload begins")
            try:
                topic = piece[begins_at:ends_at].decode()
            except UnicodeDecodeError:
                raise ProtocolError("a topic that is not UTF-8") from None
            if not topic or "\0" in topic or "+" in topic or "#" in topic:
                raise ProtocolError(f"the topic {topic!r}, which no message can have")
            packet_id = piece[ends_at] << 8 | piece[ends_at + 1] if qos else 0
            if qos != AT_LEAST_ONCE and (qos or head & DUPLICATE):
                self._check_rare(head, qos, packet_id)
            if qos and not packet_id:
                raise ProtocolError(f"a message at QoS {qos} with the packet id 0")
            response_topic = correlation_data = attached = None
            if five:
                if piece[payload_at]:
                    payload_at, response_topic, correlation_data, attached = publish_properties(piece, payload_at, stop)
                else:
                    payload_at += 1
            retained = head & 1 == 1
            # Not through the class's own constructor, which takes a third of the time that all of this does.
            found.append(
                _new(
                    Publication,
                    (topic, piece[payload_at:stop], packet_id, retained, response_topic, correlation_data, attached),
                )
            )
        if at < end:
            self._buffer += piece[at:]
        return found

    def _check_rare(self, head: int, qos: int, packet_id: int) -> None:
        if qos > EXACTLY_ONCE or not qos:
            raise ProtocolError(f"a message that begins with {head:#04x}: QoS {qos}, which does not go with that")
        if packet_id:
            self.exactly_once.add(packet_id)


def _other(body: bytes, head: int, *, five: bool) -> Packet:
    kind = head >> 4
    if FLAGS.get(kind) != head & 0x0F:
        raise ProtocolError(f"a packet of type {kind} with flags {head & 0x0F:#x}, which a broker does not send")
    try:
        return READERS[kind](body, five)
    except (IndexError, struct.error):
        raise ProtocolError(f"a packet of type {kind} that is cut short") from None


def _connack(body: bytes, five: bool) -> Connack:  # noqa: FBT001 - one signature for all of READERS
    if body[0] > 1 or (not five and len(body) != 2):  # noqa: PLR2004 - flags and return code
        raise ProtocolError("a malformed CONNACK")
    keepalive_seconds = 0
    if five and len(body) > 2:  # noqa: PLR2004 - some brokers refuse without properties
        properties = connack_properties(body, 2)
        keepalive_seconds = int.from_bytes(properties.get(SERVER_KEEP_ALIVE, b""), "big")
    return Connack(bool(body[0]), body[1], keepalive_seconds)


def _suback(body: bytes, five: bool) -> Suback:  # noqa: FBT001 - as above
    (packet_id,) = struct.unpack_from(">H", body)
    at = 2
    if five:
        length, at = property_length(body, at, len(body))
        at += length
    return Suback(packet_id, tuple(body[at:]))


def _pubrel(body: bytes, _five: bool) -> Pubrel:  # noqa: FBT001 - as above
    return Pubrel(*struct.unpack_from(">H", body))


def _unsuback(body: bytes, _five: bool) -> Unsuback:  # noqa: FBT001 - as above
    return Unsuback(*struct.unpack_from(">H", body))


def _pingresp(_body: bytes, _five: bool) -> Pingresp:  # noqa: FBT001 - as above
    return Pingresp()


def _disconnect(body: bytes, _five: bool) -> Disconnect:  # noqa: FBT001 - as above
    return Disconnect(body[0] if body else 0)


READERS: Mapping[int, Callable[[bytes, bool], Packet]] = MappingProxyType(
    {
        CONNACK: _connack,
        PUBREL: _pubrel,
        SUBACK: _suback,
        UNSUBACK: _unsuback,
        PINGRESP: _pingresp,
        DISCONNECT: _disconnect,
    }
)
