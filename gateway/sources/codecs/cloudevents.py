"""CloudEvents 1.0 over MQTT: structured JSON, and under MQTT 5 the binary mode; either gives the same document.

In binary mode the attributes are user properties, the payload is `data` and the content type is its type (CloudEvents,
MQTT Protocol Binding 1.0.2, 3.1). A content type that begins with `application/cloudevents` says that it is structured.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from gateway.attached import PROPERTIES_MAX, PROPERTY_BYTES_MAX, Attached
from gateway.sources.codecs.json_documents import decode_json, decode_value
from gateway.sources.numbers import number
from gateway.telemetry import Unreadable

VERSION = "1.0"
REQUIRED = ("id", "source", "specversion", "type")
"""Attributes that every event has (CloudEvents 1.0.2, 3.1); any of them as a user property makes it binary."""
RESERVED = frozenset({"data", "datacontenttype"})
"""What the payload and the content type say, and no user property does."""
ATTRIBUTE = re.compile(r"[a-z0-9]+", re.ASCII)
"""Names of attributes; what else a broker or a bridge attaches is none, and is passed over."""
STRUCTURED = "application/cloudevents"
STRUCTURED_JSON = frozenset({STRUCTURED, f"{STRUCTURED}+json", f"{STRUCTURED}-batch+json"})
JSON_TYPE = re.compile(r"(application|text)/json|[^/]+/[^/]+\+json", re.ASCII)
FAULTS: Mapping[str, str] = MappingProxyType(
    {
        "too_large": f"more than {PROPERTIES_MAX} user properties or {PROPERTY_BYTES_MAX} bytes of them in a message",
        "bad_text": "a user property or the content type is not UTF-8",
    }
)


def decode_structured(payload: bytes) -> list[Any]:
    """The events of a JSON text. Raises Unreadable."""
    events = decode_json(payload)
    for event in events:
        if event.__class__ is dict and event.get("specversion", VERSION) != VERSION:
            raise _other_version(event["specversion"])
    return events


def decode_event(payload: bytes, attached: Attached) -> list[Any]:
    """The events of a message with a content type or user properties. Raises Unreadable."""
    media_type = (attached.content_type or "").partition(";")[0].strip().lower()
    if media_type in STRUCTURED_JSON:
        return decode_structured(payload)
    if media_type.startswith(STRUCTURED):
        raise Unreadable("bad_shape", f"{media_type[:80]!r} is no JSON; send {STRUCTURED}+json, or the binary mode")
    if attached.fault:
        raise Unreadable(attached.fault, FAULTS[attached.fault])
    if not any(name in REQUIRED for name, _ in attached.properties):
        return decode_structured(payload)
    event: dict[str, Any] = _attributes(attached)
    if attached.content_type is not None:
        event["datacontenttype"] = attached.content_type
    if payload:
        event["data"] = _data(payload, media_type)
    return [event]


def _attributes(attached: Attached) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in attached.properties:
        if not ATTRIBUTE.fullmatch(name):
            continue
        if name in RESERVED:
            raise Unreadable("bad_shape", f"the user property {name!r} says what the message itself says; leave it out")
        if name in found:
            raise Unreadable("bad_shape", f"the user property {name!r} stands twice; which one counts is not known")
        found[name] = value
    missing = [name for name in REQUIRED if not found.get(name)]
    if missing:
        raise Unreadable("bad_shape", f"an event in binary mode has a user property {missing[0]!r}, which is missing")
    if found["specversion"] != VERSION:
        raise _other_version(found["specversion"])
    return found


def _data(payload: bytes, media_type: str) -> Any:
    if not media_type or JSON_TYPE.fullmatch(media_type):
        return decode_value(payload)
    if not media_type.startswith("text/"):
        raise Unreadable("bad_shape", f"data of the type {media_type[:80]!r} is not read; send JSON, or text")
    try:
        text = payload.decode().strip()
    except UnicodeDecodeError as error:
        raise Unreadable("bad_text", f"the payload is not text: {error}") from None
    read = number(text)
    return text if read is None else read


def _other_version(said: Any) -> Unreadable:
    return Unreadable("bad_shape", f"the event says CloudEvents {str(said)[:20]!r}; {VERSION} is read")
