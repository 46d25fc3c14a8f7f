"""Plain text: one number, or one word, is the whole payload; the document is `{"value": ...}`.

A JSON object is taken as it stands: some devices send either, by a setting.
"""

from typing import Any

from gateway.sources.codecs.json_documents import decode_json
from gateway.sources.numbers import number
from gateway.telemetry import Unreadable

TEXT_LIMIT = 200
"""Characters of a plain value; more is another format."""


def decode_plain(payload: bytes) -> list[Any]:
    """One document with the number, or the text when it is no number. Raises Unreadable."""
    if payload.startswith(b"{"):
        return decode_json(payload)
    try:
        text = payload.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise Unreadable("bad_text", f"the payload is not text: {error}") from None
    if not text or len(text) > TEXT_LIMIT:
        raise Unreadable("bad_text", f"a plain value has 1 to {TEXT_LIMIT} characters, got {len(text)}")
    found = number(text)
    return [{"value": text if found is None else found}]
