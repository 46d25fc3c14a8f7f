"""A refused message as every way in shows it, secrets masked."""

from billing.core.redacting import redacted
from storage.tables import Quarantine


def row(message: Quarantine) -> dict[str, object]:
    """What a list says of a message; whether it still waits and its payload come beside."""
    return {
        "id": message.id,
        "received_at": message.received_at,
        "reason": message.reason,
        "source": message.source,
        "object": message.object_reference,
        "topic": message.topic,
        "detail": redacted(message.detail),
    }
