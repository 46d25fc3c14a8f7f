"""What every fact on an object's timeline has: who said it, when, and of which object."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from billing.core.errors import NotFound
from storage import registry
from storage.types import to_micros

COMMAND_EXPIRY_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Who gave a command, when, under which request id; and where its object listens."""

    now: datetime
    origin: str
    key: str = ""
    topic_devices: str = "devices"
    command_expiry_seconds: int = COMMAND_EXPIRY_SECONDS
    """How long a command to the object is worth anything, where it does not say so itself."""


def event_row(
    kind: str,
    *,
    object_id: int,
    now: datetime,
    origin: str,
    key: str,
    detail: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The columns of one event that happens now."""
    return {
        "object_id": object_id,
        "kind": kind,
        "occurred_at": now,
        "recorded_at": now,
        "key": key,
        "origin": origin,
        "detail": dict(detail or {}),
    }


def free_key(session: Session, object_id: int, kind: str, now: datetime, key: str) -> str:
    """The key of an event that may happen several times at one instant, as under a clock that stands still."""
    if not key and (earlier := registry.event_count(session, object_id, kind, now)):
        return f"again-{to_micros(now)}-{earlier}"
    return key


def known_object(found: Mapping[str, registry.ObjectRow], reference: str) -> registry.ObjectRow:
    """The object of this reference; raises NotFound."""
    if reference not in found:
        raise NotFound(f"object {reference!r} is not registered; create it first")
    return found[reference]
