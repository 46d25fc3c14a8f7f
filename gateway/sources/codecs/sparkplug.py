"""Sparkplug B 3.0 payloads (protobuf), decoded without generated code: the few fields that a host reads, and no more.

A float of the wire becomes the shortest decimal number that names it: what the device's own page shows.
"""

import struct
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from gateway.telemetry import SAMPLES_MAX, Unreadable

VARINT_BYTES_MAX = 10
SIGNED_BITS = {1: 8, 2: 16, 3: 32, 4: 64}
"""By datatype: Int8 to Int64, which come as two's complement in unsigned fields."""
FLOAT_DIGITS = range(6, 10)
"""Significant digits after which a 32-bit float is told apart from all others."""
REBIRTH = "Node Control/Rebirth"
BOOLEAN = 11
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Measured(NamedTuple):
    """One metric of a payload; `time` in milliseconds since 1970 UTC. A DATA message may say the alias alone."""

    name: str | None
    alias: int | None
    datatype: int | None
    time: int | None
    null: bool
    raw: Any
    """What stood in the value's field: an unsigned integer, a Decimal, a boolean, a text; None for what is not read."""


class Payload(NamedTuple):
    time: int | None
    seq: int | None
    metrics: tuple[Measured, ...]


def decode(payload: bytes) -> Payload:
    """The payload of a birth, death or data message. Raises Unreadable."""
    time = seq = None
    metrics: list[Measured] = []
    for field, value in _fields(payload):
        match field, value:
            case 1, int():
                time = value
            case 2, bytes():
                metrics.append(_metric(value))
            case 3, int():
                seq = value
    if len(metrics) > SAMPLES_MAX:
        raise Unreadable("bad_shape", f"{len(metrics)} metrics in one message; send at most {SAMPLES_MAX}")
    return Payload(time, seq, tuple(metrics))


def decode_alone(payload: bytes) -> list[Any]:
    """The values whose names stand in the payload, without what births said. Raises Unreadable."""
    said = decode(payload)
    return [
        {"name": it.name, "value": signed(it.raw, it.datatype), "time": it.time or said.time} for it in said.metrics
    ]


def signed(raw: Any, datatype: int | None) -> Any:
    """The value, where the datatype says that an unsigned field carries a signed integer."""
    bits = SIGNED_BITS.get(datatype or 0)
    if bits is None or raw.__class__ is not int:
        return raw
    low = raw & (1 << bits) - 1
    return low - (1 << bits) if low >> bits - 1 else low


def rebirth(at_millis: int) -> bytes:
    """The NCMD payload that asks an edge node for its birth."""
    name = REBIRTH.encode()
    metric = b"\x0a" + _varint(len(name)) + name + b"\x20" + _varint(BOOLEAN) + b"\x70\x01"
    return b"\x08" + _varint(at_millis) + b"\x12" + _varint(len(metric)) + metric


def _metric(data: bytes) -> Measured:
    found = dict(_fields(data))  # of a field that stands twice, the last counts: protobuf's own rule
    name, alias, time, datatype = (found.get(field) for field in (1, 2, 3, 4))
    return Measured(
        _text(name) if isinstance(name, bytes) else None,
        alias if isinstance(alias, int) else None,
        datatype if isinstance(datatype, int) else None,
        time if isinstance(time, int) else None,
        bool(found.get(7)),
        _raw(found),
    )


def _raw(found: Mapping[int, int | bytes | float]) -> Any:
    for field in range(10, 16):
        match field, found.get(field):
            case ((10 | 11), int() as value):
                return value
            case ((12 | 13), float() as value):
                return _decimal(value, short=field == 12)  # noqa: PLR2004 - the number of the field
            case 14, int() as value:
                return bool(value)
            case 15, bytes() as value:
                return _text(value)
    return None


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes | float]]:
    """(field number, value) of each field of a protobuf message. Raises Unreadable."""
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        field, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _read_varint(data, at)
            yield field, value
            continue
        size = {_FIXED64: 8, _FIXED32: 4}.get(wire)
        if wire == _BYTES:
            size, at = _read_varint(data, at)
        if size is None or size > len(data) - at:
            raise Unreadable("bad_protobuf", "the payload is no Sparkplug B payload: a field is cut off or unknown")
        piece, at = data[at : at + size], at + size
        if wire == _BYTES:
            yield field, piece
        else:
            yield field, struct.unpack("<d" if wire == _FIXED64 else "<f", piece)[0]


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(data[at : at + VARINT_BYTES_MAX]):
        value |= (byte & 0x7F) << 7 * place
        if not byte & 0x80:
            return value & (1 << 64) - 1, at + place + 1
    raise Unreadable("bad_protobuf", "the payload is no Sparkplug B payload: a number is cut off or too long")


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable("bad_text", f"a text in the payload is not UTF-8: {error}") from None


def _decimal(value: float, *, short: bool) -> Decimal | str:
    """The shortest decimal number that names a float of the wire; NaN and infinities are texts, and no number."""
    text = repr(value)
    if short:
        packed = struct.pack("<f", value)
        for digits in FLOAT_DIGITS:
            text = f"{value:.{digits}g}"
            if struct.pack("<f", float(text)) == packed:
                break
    return text if text.lstrip("-") in {"nan", "inf"} else Decimal(text)
