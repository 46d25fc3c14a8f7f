"""P1 telegrams of smart meters (DSMR 4 and 5, and their like); the document has a key for each OBIS reference.

`1-0:1.8.1(001234.567*kWh)` is a number; several values are an array: `0-1:24.2.1(220414100000S)(00123.456*m3)`. The
checksum behind `!` is checked where there is one.
"""

import re
from typing import Any

from gateway.sources.numbers import number
from gateway.telemetry import Unreadable

LINES_MAX = 500
LINE = re.compile(r"(\d{1,3}-\d{1,3}:\d{1,3}\.\d{1,3}\.\d{1,3})((?:\([^()]*\)){1,40})", re.ASCII)
VALUE = re.compile(r"\(([^()*]*)(?:\*[^()]*)?\)")
POLYNOMIAL = 0xA001
"""CRC-16/ARC, DSMR 5.0.2, 5.2."""


def decode_p1(payload: bytes) -> list[Any]:
    """One document. Raises Unreadable."""
    start, end = payload.find(b"/"), payload.rfind(b"!")
    if start < 0 or end < start:
        raise Unreadable("bad_text", "a P1 telegram begins with / and ends with !")
    stated = payload[end + 1 :].strip().decode("ascii", "replace")
    if stated and stated != f"{_crc(payload[start : end + 1]):04X}":
        raise Unreadable("bad_checksum", f"the telegram's checksum is not {stated[:8]!r}: it was changed on its way")
    try:
        lines = payload[start:end].decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise Unreadable("bad_text", f"the telegram is not ASCII text: {error}") from None
    if len(lines) > LINES_MAX:
        raise Unreadable("bad_shape", f"{len(lines)} lines in one telegram; a meter sends at most {LINES_MAX}")
    document: dict[str, Any] = {}
    for line in lines:
        found = LINE.fullmatch(line.strip())
        if found is not None:
            values = [_value(text) for text in VALUE.findall(found[2])]
            if found[1] in document:
                raise Unreadable("bad_shape", f"{found[1]} stands twice in one telegram; which one counts is not known")
            document[found[1]] = values[0] if len(values) == 1 else values
    return [document]


def _value(text: str) -> Any:
    read = number(text) if "." in text else None
    return text if read is None else read


def _crc(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ POLYNOMIAL if crc & 1 else crc >> 1
    return crc
