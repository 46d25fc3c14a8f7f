"""JSON: one document, or one for each element of an array; numbers as they are written."""

from decimal import Decimal
from typing import Any

import msgspec

from gateway.telemetry import SAMPLES_MAX, Unreadable

_decode = msgspec.json.Decoder(float_hook=Decimal).decode


def decode_value(payload: bytes) -> Any:
    """The value of a JSON text, as it stands. Raises Unreadable."""
    try:
        return _decode(payload)
    except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError) as error:
        raise Unreadable("bad_json", f"the payload is not JSON: {error}") from None


def decode_json(payload: bytes) -> list[Any]:
    """The documents of a JSON text. Raises Unreadable."""
    document = decode_value(payload)
    if document.__class__ is not list:
        return [document]
    if len(document) > SAMPLES_MAX:
        raise Unreadable("bad_shape", f"{len(document)} elements in one message; send at most {SAMPLES_MAX}")
    return document
