"""Lengths and properties inside MQTT packets, read with a limit at every step (MQTT 5.0, 1.5.5 and 2.2.2)."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from gateway.attached import Attached, Pair, attached

LENGTH_BYTES_MAX = 4
"""Bytes of a variable length."""
SIZES: Mapping[int, int] = MappingProxyType({0x01: 1, 0x02: 4})
"""Payload format and message expiry: the properties of a PUBLISH that have a fixed size, in bytes."""
CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION_DATA = 0x03, 0x08, 0x09
SUBSCRIPTION_IDENTIFIER, TOPIC_ALIAS, USER_PROPERTY = 0x0B, 0x23, 0x26
BINARIES: Mapping[int, int] = MappingProxyType(
    {CONTENT_TYPE: 1, RESPONSE_TOPIC: 1, CORRELATION_DATA: 1, USER_PROPERTY: 2}
)
"""Properties made of texts or bytes with their length in front, and of how many."""


SERVER_KEEP_ALIVE = 0x13
CONNACK_SIZES: Mapping[int, int] = MappingProxyType(
    {0x11: 4, SERVER_KEEP_ALIVE: 2, 0x21: 2, 0x22: 2, 0x24: 1, 0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1}
)
"""Properties of a CONNACK (3.2.2.3) that have a fixed size, in bytes."""
CONNACK_BINARIES: Mapping[int, int] = MappingProxyType({0x12: 1, 0x15: 1, 0x16: 1, 0x1A: 1, 0x1C: 1, 0x1F: 1, 0x26: 2})


class ProtocolError(ValueError):
    """The broker sent what the standard forbids."""


def variable_length(piece: bytes, at: int, end: int) -> tuple[int, int]:
    """A length of up to four bytes, and where what it measures begins; (0, 0) when the piece ends inside it."""
    value = 0
    for place in range(LENGTH_BYTES_MAX):
        if at + place >= end:
            return 0, 0
        byte = piece[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte <= 0x7F:  # noqa: PLR2004 - the last byte of the length
            return value, at + place + 1
    raise ProtocolError("a length of more than four bytes")


def property_length(body: bytes, at: int, stop: int) -> tuple[int, int]:
    """How many bytes of properties there are, and where they begin."""
    length, begins_at = variable_length(body, at, stop)
    if not begins_at or begins_at + length > stop:
        raise ProtocolError("properties that are longer than their packet")
    return length, begins_at


def publish_properties(body: bytes, at: int, stop: int) -> tuple[int, str | None, bytes | None, Attached | None]:
    """Where the payload begins, the two properties that an answer needs, and what the publisher attached."""
    if at > stop:
        raise ProtocolError("a message that ends before its properties")
    length, at = property_length(body, at, stop)
    response_topic: str | None = None
    correlation_data: bytes | None = None
    content_type: bytes | None = None
    pairs: list[Pair] = []
    for kind, name, value in _properties(body, at, at + length):
        if kind == RESPONSE_TOPIC:
            try:
                response_topic = value.decode()
            except UnicodeDecodeError:
                raise ProtocolError("a response topic that is not UTF-8") from None
        elif kind == CORRELATION_DATA:
            correlation_data = value
        elif kind == CONTENT_TYPE:
            content_type = value
        elif kind == USER_PROPERTY:
            pairs.append((name, value))
    return at + length, response_topic, correlation_data, attached(content_type, pairs)


def connack_properties(body: bytes, at: int) -> dict[int, bytes]:
    """What the broker says of itself, by property, as bytes; they fill the rest of the packet."""
    length, at = property_length(body, at, len(body))
    end, found = at + length, {}
    if end != len(body):
        raise ProtocolError("a CONNACK with more behind its properties")
    while at < end:
        kind, at = body[at], at + 1
        if kind in CONNACK_BINARIES:
            for _ in range(CONNACK_BINARIES[kind]):
                found[kind], at = _binary(body, at, end)
            continue
        if kind not in CONNACK_SIZES or at + CONNACK_SIZES[kind] > end:
            raise ProtocolError(f"the property {kind:#04x}, which a CONNACK does not have or does not finish")
        found[kind], at = body[at : at + CONNACK_SIZES[kind]], at + CONNACK_SIZES[kind]
    return found


def _properties(body: bytes, at: int, end: int) -> Iterator[tuple[int, bytes, bytes]]:
    """(property, name, value); only a user property has a name."""
    while at < end:
        kind, at, value = body[at], at + 1, b""
        name = b""
        if kind in SIZES:
            at += SIZES[kind]
        elif kind in BINARIES:
            for _ in range(BINARIES[kind]):
                name = value
                value, at = _binary(body, at, end)
        elif kind == SUBSCRIPTION_IDENTIFIER:
            _, at = variable_length(body, at, end)
            at = at or end + 1
        elif kind == TOPIC_ALIAS:
            raise ProtocolError("a topic alias, though none was allowed")
        else:
            raise ProtocolError(f"the property {kind:#04x}, which a message does not have")
        if at > end:
            raise ProtocolError("a property that is longer than its packet")
        yield kind, name, value


def _binary(body: bytes, at: int, end: int) -> tuple[bytes, int]:
    begins_at = at + 2
    ends_at = begins_at + int.from_bytes(body[at:begins_at], "big")
    if begins_at > end or ends_at > end:
        raise ProtocolError("a property that is longer than its packet")
    return body[begins_at:ends_at], ends_at
