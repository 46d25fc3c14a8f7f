"""Commands to connected objects: requested once, sent through the outbox, and settled by an answer or by their expiry.

The law: a command and the message that carries it are written in the transaction that decides it; it is answered
once, and what comes late, twice or from another object changes nothing.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from sqlmodel import Session

from billing.core.device_commands import NOT_ACTIVATED, REQUESTED_EVENT, STEP_EVENTS, CommandStatus, after
from billing.core.errors import Conflict, Invalid, Refused
from billing.core.lifecycle import ObjectStatus
from billing.routing import Carried, Routes, Told
from billing.timeline import Said, event_row, known_object
from storage import downlink, registry
from storage.tables import DeviceCommand
from storage.types import canonical_json, to_micros

NAME_LIMIT = 64
BODY_LIMIT_BYTES = 16_384
REASON_LIMIT = 500
"""Characters of an object's words that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCommand:
    """What an object is to do; `expires_in` as the gateway's setting unless given."""

    name: str
    body: Mapping[str, Any] = field(default_factory=dict)
    expires_in: timedelta | None = None
    purpose: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandInfo:
    """A command as replies and lists show it."""

    reference: str
    request_id: str
    name: str
    body: Mapping[str, Any]
    status: str
    requested_at: datetime
    expires_at: datetime
    sent_at: datetime | None = None
    answered_at: datetime | None = None
    reason: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The form of replies and of `--json`."""
        return {
            "reference": self.reference,
            "request_id": self.request_id,
            "command": self.name,
            "body": dict(self.body),
            "status": self.status,
            "requested_at": self.requested_at.isoformat(),
            "sent_at": None if self.sent_at is None else self.sent_at.isoformat(),
            "answered_at": None if self.answered_at is None else self.answered_at.isoformat(),
            "expires_at": self.expires_at.isoformat(),
            "reason": self.reason,
        }

    def told(self) -> str:
        """For a person, in one line."""
        until = f"{self.expires_at:%Y-%m-%d %H:%M:%S} UTC"
        return f"command {self.name} to {self.reference} is {self.status} ({self.request_id}), until {until}"


class Answer(NamedTuple):
    """What an object said of a command; without ids it answers the oldest one that waits on its `route`."""

    object_id: int
    ids: tuple[str, ...]
    status: Literal["acknowledged", "failed"]
    reason: str
    received_at: datetime
    route: str = ""


def send(session: Session, reference: str, new: NewCommand, said: Said) -> CommandInfo:
    """Command an object that is registered and not terminated; the same request id again gives the same command.

    Raises NotFound, Refused, Invalid, and Conflict for a request id that was used for another command.
    """
    row = known_object(registry.find(session, [reference], lock=True), reference)
    if row.status == ObjectStatus.TERMINATED:
        raise Refused(f"object {reference} is terminated; it takes no command any more", code="transition", allowed=())
    _check(new, said.key)
    if said.key:
        known = downlink.find(session, row.id, said.key)
        if known is not None:
            if (known.name, canonical_json(known.body)) != (new.name, canonical_json(dict(new.body))):
                raise Conflict(f"request_id {said.key!r} was given to another command of {reference}; use a new one")
            return info(reference, known)
    # Asked before anything is written: a refusal is remembered in this transaction.
    probe = Told(new.name, said.key or new.name, new.body, said.now, said.now)
    way = _way(Routes(session, [row], said.topic_devices), row, new, probe)
    if isinstance(way, str):
        raise Invalid(way)
    return send_many(session, [row], new, said)[0]


def send_many(session: Session, rows: Sequence[registry.ObjectRow], new: NewCommand, said: Said) -> list[CommandInfo]:
    """Give many objects one command, whose name and body were checked: a few statements, whatever the number.

    One that cannot be carried to its object has failed, with its reason.
    """
    if not rows:
        return []
    expires_at = said.now + (new.expires_in or timedelta(seconds=said.command_expiry_seconds))
    ids = _request_ids(session, rows, new.name, said)
    routes = Routes(session, rows, said.topic_devices)
    ways = {row.id: _way(routes, row, new, Told(new.name, ids[row.id], new.body, said.now, expires_at)) for row in rows}
    written = downlink.add(session, [_columns(row, ids[row.id], ways[row.id], new, said, expires_at) for row in rows])
    downlink.put(
        session,
        [
            (written[object_id, ids[object_id]], way.topic, way.payload, expires_at)
            for object_id, way in ways.items()
            if isinstance(way, Carried)
        ],
        said.now,
    )
    registry.add_events(session, [event for row in rows for event in _begun(row, ids[row.id], ways[row.id], new, said)])
    return [
        CommandInfo(
            reference=row.reference,
            request_id=ids[row.id],
            name=new.name,
            body=new.body,
            status=_status(ways[row.id]),
            requested_at=said.now,
            expires_at=expires_at,
            reason=None if isinstance(way := ways[row.id], Carried) else way,
        )
        for row in rows
    ]


def _way(routes: Routes, row: registry.ObjectRow, new: NewCommand, told: Told) -> Carried | str:
    """How the command gets to its object, or why it does not."""
    try:
        way = routes.carry(row, told)
    except Invalid as error:
        return error.message
    if new.purpose is not None and not way.answers:
        return f"what carries {new.name} to {row.reference} has no answers, and its answer is waited for"
    return way


def _status(way: Carried | str) -> str:
    return (CommandStatus.REQUESTED if isinstance(way, Carried) else CommandStatus.FAILED).value


def _columns(
    row: registry.ObjectRow, request_id: str, way: Carried | str, new: NewCommand, said: Said, expires_at: datetime
) -> dict[str, Any]:
    carried = way if isinstance(way, Carried) else None
    return {
        "object_id": row.id,
        "request_id": request_id,
        "name": new.name,
        "body": dict(new.body),
        "status": _status(way),
        "origin": said.origin,
        "requested_at": said.now,
        "expires_at": expires_at,
        "waits_until": None if carried is None else expires_at,
        "reason": way if isinstance(way, str) else None,
        "route": "" if carried is None else carried.route,
        "wire_id": None if carried is None else carried.wire_id,
        "answers": int(carried is not None and carried.answers),
        "purpose": None if new.purpose is None else dict(new.purpose),
    }


def _begun(
    row: registry.ObjectRow, request_id: str, way: Carried | str, new: NewCommand, said: Said
) -> Iterator[dict[str, Any]]:
    """What stands on the timeline at once."""
    base: dict[str, Any] = {"object_id": row.id, "now": said.now, "origin": said.origin, "key": request_id}
    detail = {"command": new.name, "request_id": request_id}
    yield event_row(REQUESTED_EVENT, **base, detail=detail)
    if isinstance(way, str):
        yield event_row(STEP_EVENTS["fail"], **base, detail={**detail, "reason": way})
        if new.purpose is not None:
            yield event_row(NOT_ACTIVATED, **base, detail={**detail, "reason": way})


def note_sent(session: Session, ids: Collection[int], now: datetime) -> None:
    """Note that the broker has the commands with these ids; the first time counts."""
    for command in downlink.unsent(session, ids):
        status = after(CommandStatus(command.status), "send")
        settled = {} if command.answers else {"waits_until": None}
        kept = {} if status is None else {"status": status.value, **settled}
        downlink.set_columns(session, command.id, sent_at=now, **kept)
        record(session, command, STEP_EVENTS["send"], now, "engine")


def info(reference: str, command: DeviceCommand) -> CommandInfo:
    """A stored command as lists show it."""
    return CommandInfo(
        reference=reference,
        request_id=command.request_id,
        name=command.name,
        body=command.body,
        status=command.status,
        requested_at=command.requested_at,
        expires_at=command.expires_at,
        sent_at=command.sent_at,
        answered_at=command.answered_at,
        reason=command.reason,
    )


def record(
    session: Session,
    command: DeviceCommand,
    kind: str,
    at: datetime,
    origin: str,
    detail: Mapping[str, Any] | None = None,
    *,
    recorded_at: datetime | None = None,
) -> None:
    """Put what became of a command onto its object's timeline."""
    whole = {"command": command.name, "request_id": command.request_id, **(detail or {})}
    event = event_row(kind, object_id=command.object_id, now=at, origin=origin, key=command.request_id, detail=whole)
    registry.add_events(session, [{**event, "recorded_at": recorded_at or at}])


def _check(new: NewCommand, request_id: str) -> None:
    if not 1 <= len(new.name) <= NAME_LIMIT or not new.name.isprintable() or new.name != new.name.strip():
        raise Invalid(f"a command's name has 1 to {NAME_LIMIT} printable characters, got {new.name[:NAME_LIMIT]!r}")
    if len(request_id) > downlink.REQUEST_ID_LIMIT or not request_id.isprintable():
        raise Invalid(f"a request_id has up to {downlink.REQUEST_ID_LIMIT} printable characters")
    try:
        size = len(json.dumps(dict(new.body), allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError):
        raise Invalid("the body is not JSON that can be sent; write texts, numbers, lists and objects") from None
    if size > BODY_LIMIT_BYTES:
        raise Invalid(f"the body has {size} bytes, and {BODY_LIMIT_BYTES} are allowed; shorten it", code="too_large")


def _request_ids(session: Session, rows: Sequence[registry.ObjectRow], name: str, said: Said) -> dict[int, str]:
    """The sender's id, or one of our own, for each object the first of its kind that it was not given yet."""
    stem = said.key or f"{name}-{to_micros(said.now)}"
    taken = downlink.request_ids(session, [row.id for row in rows], stem)
    return {row.id: _free(stem, taken.get(row.id, frozenset())) for row in rows}


def _free(stem: str, taken: Collection[str]) -> str:
    if stem not in taken:
        return stem
    return next(text for n in range(1, len(taken) + 2) if (text := f"{stem}-{n}") not in taken)
