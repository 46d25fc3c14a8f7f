"""Usage and reports that are entered by hand or in bulk: as payloads of our own form, through the door of messages."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from billing.core.errors import Invalid
from billing.core.quantity import number_of
from config.clock import Clock
from config.settings import Settings
from gateway.ingest import ingest_batch
from gateway.message import Message, Rules
from storage.database import Database

Leaf = Literal["telemetry", "lifecycle"]
ADDED, THERE = "added", "already there"


def usage_body(*, at: str, metric: str, value: str, identity: str, properties: Mapping[str, str]) -> bytes:
    """The native payload of one value; the number keeps every digit that was typed. Raises ValueError."""
    try:
        number = number_of(value)
    except Invalid as error:
        raise ValueError(f"the value {error.message}") from None
    fields: dict[str, Any] = {"ts": at}
    fields |= {"id": identity} if identity else {}
    fields |= {"properties": dict(properties)} if properties else {}
    head = json.dumps(fields)[:-1]
    return f"{head}, {json.dumps('metrics')}: {{{json.dumps(metric)}: {number:f}}}}}".encode()


def take(
    database: Database,
    clock: Clock,
    settings: Settings,
    entries: Sequence[tuple[str, bytes]],
    origin: str,
    *,
    leaf: Leaf = "telemetry",
) -> "Counter[str]":
    """Take entries of (object, payload); what came of them, by word: what is refused waits in quarantine."""
    now = clock.now()
    messages = [
        Message(topic=f"{settings.topic_devices}/{reference}/{leaf}", payload=payload, received_at=now, origin=origin)
        for reference, payload in entries
    ]
    applied = ingest_batch(database, messages, Rules.of(settings), now=now)
    return Counter({ADDED: applied.records + applied.events, THERE: applied.duplicates}) + applied.refused
