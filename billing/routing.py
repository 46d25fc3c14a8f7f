"""Where an object listens: on our own topics, or where the source says through which it speaks.

The law: what is sent is rendered from the source in force when the command is given, and is not changed afterwards.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlmodel import Session

from billing.core.errors import Invalid
from billing.core.templates import names_in, rendered
from storage import downlink
from storage import sources as stored
from storage.registry import ObjectRow
from storage.types import canonical_json

TOPIC_LIMIT_BYTES = 1024


class Told(NamedTuple):
    """A command as every template may speak of it."""

    name: str
    request_id: str
    body: Mapping[str, Any]
    requested_at: datetime
    expires_at: datetime


class Carried(NamedTuple):
    """A command ready to be published."""

    topic: str
    payload: Mapping[str, Any] | bytes
    route: str
    answers: bool
    wire_id: str | None


class Routes:
    """Where each of these objects listens; a few queries, whatever their number."""

    def __init__(self, session: Session, rows: Sequence[ObjectRow], topic_devices: str) -> None:
        self._topic_devices = topic_devices
        self._sources = {
            row.name: row.definition
            for row in stored.in_force(session)
            if row.definition.get("commands") and row.definition.get("enabled", True)
        }
        self._addresses = downlink.addresses(session, [row.id for row in rows]) if self._sources else {}

    def carry(self, row: ObjectRow, told: Told) -> Carried:
        """The command as the object's format has it. Raises Invalid where its source carries no such command."""
        source, captures = self._address(row)
        if source is None:
            return Carried(f"{self._topic_devices}/{row.reference}/commands", _own(told), "", True, None)
        for place, entry in enumerate(self._sources[source]["commands"]):
            if told.name in entry.get("names", [told.name]):
                return _carried(entry, f"{source}/{place}", {"object": row.reference, **captures}, row.reference, told)
        raise Invalid(f"source {source}, through which {row.reference} speaks, carries no command {told.name!r}")

    def _address(self, row: ObjectRow) -> tuple[str | None, Mapping[str, str]]:
        heard = self._addresses.get(row.id)
        if heard is not None:
            return (heard[0] if heard[0] in self._sources else None), heard[1]
        # Not heard yet: the source that is for its kind.
        of_kind = [name for name, it in sorted(self._sources.items()) if row.kind and it.get("kind") == row.kind]
        return (of_kind[0] if of_kind else None), {}


def _own(told: Told) -> dict[str, Any]:
    return {
        "request_id": told.request_id,
        "command": told.name,
        "expires_at": told.expires_at.isoformat(),
        "body": dict(told.body),
    }


def _carried(entry: Mapping[str, Any], route: str, captures: Mapping[str, str], reference: str, told: Told) -> Carried:
    template, topic = entry.get("body"), entry["topic"]
    used = {*names_in(topic), *names_in(template)}
    wire_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{reference}/{told.request_id}")) if "uuid" in used else None
    values = {
        **captures,
        "reference": reference,
        "command": told.name,
        "request_id": told.request_id,
        "uuid": wire_id,
        "requested_at": told.requested_at.isoformat(),
        "expires_at": told.expires_at.isoformat(),
        "body": told.body,
    }
    payload = _own(told) if template is None else rendered(template, values)
    return Carried(
        _topic(topic, values),
        payload if isinstance(payload, dict) else _bytes(payload),
        route,
        bool(entry.get("acknowledge")),
        wire_id,
    )


def _bytes(payload: Any) -> bytes:
    return payload.encode() if isinstance(payload, str) else canonical_json(payload).encode()


def _topic(template: str, values: Mapping[str, Any]) -> str:
    topic = rendered(template, values)
    if not isinstance(topic, str) or set(topic) & set("+#\0") or len(topic.encode()) > TOPIC_LIMIT_BYTES:
        raise Invalid(f"{str(topic)[:80]!r} is no topic that a command can go to")
    if topic.startswith("$") and not template.startswith("$"):
        raise Invalid(f"{topic[:80]!r} is a topic of the broker's own; a command cannot go there")
    return topic
