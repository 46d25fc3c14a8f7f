"""What MQTT 5 carries beside a payload: the content type and the user properties, in their order.

The law: what a publisher attaches is bounded and never ends a connection: of what is too much, or no text, the fault is
kept, and whoever needs the properties refuses the message for it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

Pair: TypeAlias = tuple[bytes, bytes]
Fault = Literal["", "too_large", "bad_text"]
PROPERTIES_MAX = 100
"""User properties of one message that are kept: an event has ten attributes, and traces add a few."""
PROPERTY_BYTES_MAX = 16_384
"""All names, values and the content type of one message together."""


class Attached(NamedTuple):
    """`fault` is the reason for which a message is refused by whoever needs its properties; empty for none."""

    content_type: str | None = None
    properties: tuple[tuple[str, str], ...] = ()
    fault: Fault = ""

    def kept(self) -> dict[str, Any]:
        """As the quarantine keeps it."""
        whole = {
            "content_type": self.content_type,
            "user_properties": [list(pair) for pair in self.properties],
            "fault": self.fault,
        }
        return {name: value for name, value in whole.items() if value}


def attached(content_type: bytes | None, pairs: Sequence[Pair]) -> Attached | None:
    """What came with a message; None when nothing did."""
    if content_type is None and not pairs:
        return None
    size = len(content_type or b"") + sum(len(name) + len(value) for name, value in pairs[:PROPERTIES_MAX])
    try:
        media = None if content_type is None else content_type[:PROPERTY_BYTES_MAX].decode()
        if len(pairs) > PROPERTIES_MAX or size > PROPERTY_BYTES_MAX:
            return Attached(media, fault="too_large")
        return Attached(media, tuple((name.decode(), value.decode()) for name, value in pairs))
    except UnicodeDecodeError:
        return Attached(fault="bad_text")


def as_kept(attachment: Attached | None) -> dict[str, Any] | None:
    """What came with a message, as the quarantine keeps it."""
    return None if attachment is None else attachment.kept()


def from_kept(kept: Mapping[str, Any] | None) -> Attached | None:
    """What the quarantine kept, as it came."""
    if kept is None:
        return None
    pairs = tuple((name, value) for name, value in kept.get("user_properties", ()))
    return Attached(kept.get("content_type"), pairs, kept.get("fault", ""))
