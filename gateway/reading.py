"""From the bytes of one message to what it says of objects: our own topics, or a source's."""

from functools import lru_cache

from gateway.message import Message, Read, Rules
from gateway.quick_telemetry import decode_quickly
from gateway.sources.numbering import Numbered
from gateway.sources.rules import Arrival
from gateway.telemetry import Unreadable, decode_answer, decode_lifecycle
from storage.types import MICROSECOND, to_micros

LEAVES = ("telemetry", "lifecycle", "commands/ack")
"""What objects publish below their own topic."""
TOPICS_KEPT = 32_768
"""Topics whose parts are remembered: some 10 MB."""


def read_own(message: Message, rules: Rules) -> Read:
    """What a message on our own topics says. Raises Unreadable."""
    reference, leaf = address_of(message.topic, rules.topic_devices)
    limit = rules.payload_limit_bytes
    if leaf == "lifecycle":
        return Read(message, reference, decode_lifecycle(message.payload, limit_bytes=limit))
    if leaf == "commands/ack":
        return Read(message, reference, decode_answer(message.payload, limit_bytes=limit))
    samples = decode_quickly(message.payload, limit_bytes=limit)
    if message.retained and not all(sample.has_key for sample in samples):
        raise Unreadable(
            "retained_unkeyed",
            "a retained copy without an id or a time cannot be told from its repeat; publish usage without retain",
        )
    return Read(message, reference, samples)


def read_source(message: Message, rules: Rules, numbers: list[Numbered]) -> list[Read]:
    """What a message on a topic of a source says, object by object. Raises Unreadable."""
    route = rules.sources.route(message.topic)
    if route is None:
        raise Unreadable(
            "unknown_topic",
            f"nothing is read from {message.topic!r}; objects publish to {rules.topic_devices}/REFERENCE/telemetry, "
            "and other topics are declared under `sources` in the catalogue",
        )
    if len(message.payload) > rules.payload_limit_bytes:
        size = len(message.payload)
        raise Unreadable("too_large", f"the payload has {size} bytes; the limit is {rules.payload_limit_bytes}")
    at = to_micros(message.received_at)
    arrival = Arrival(
        at,
        at - rules.plausible_past // MICROSECOND,
        at + rules.plausible_future // MICROSECOND,
        message.retained,
        message.attached,
    )
    parts = rules.sources.read(route, message.payload, arrival, numbers)
    return [Read(message, part.reference, part.content, part.reference) for part in parts]


@lru_cache(maxsize=TOPICS_KEPT)
def address_of(topic: str, devices: str) -> tuple[str, str]:
    """The object of a topic of ours, and which of its topics it is. Raises Unreadable."""
    prefix = f"{devices}/"
    reference, _, leaf = topic.removeprefix(prefix).partition("/")
    if not topic.startswith(prefix) or leaf not in LEAVES:
        raise Unreadable(
            "unknown_topic", f"nothing is read from {topic!r}; objects publish to {prefix}REFERENCE/telemetry"
        )
    return reference, leaf
