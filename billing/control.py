"""Commands from the back office: checked, done once whatever the number of deliveries, and always answered.

The law: the scope of a request id is (object, command); its repeat gets the first answer again, the same id with
another body is a conflict, and a bad request changes nothing. A fault of the database is not an answer: it is
raised, and the message comes again.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from billing.commands import COMMANDS, REQUEST_ID_LIMIT, Body, run, validated
from billing.core.errors import BillingError, Conflict, Invalid
from billing.core.lifecycle import check_reference
from billing.preview import contracts_of, preview
from billing.recording import Said
from billing.timeline import COMMAND_EXPIRY_SECONDS
from billing.wire import parse_object
from storage import control, outbox
from storage.types import canonical_json

PAYLOAD_LIMIT_BYTES = 65_536
ORIGIN = "control"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlMessage:
    """One message on `control/objects/{object_reference}/{command}`."""

    object_reference: str
    command: str
    body: bytes
    response_topic: str | None = None
    """MQTT 5: where the answer goes too, with `correlation_data`."""
    correlation_data: bytes | None = None
    retained: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """The prefixes that the settings give."""

    devices: str = "devices"
    control: str = "control"


DEFAULT_TOPICS = Topics()


def execute(
    session: Session,
    message: ControlMessage,
    now: datetime,
    *,
    topics: Topics = DEFAULT_TOPICS,
    payload_limit_bytes: int = PAYLOAD_LIMIT_BYTES,
    expiry_seconds: int = COMMAND_EXPIRY_SECONDS,
) -> None:
    """Do what a control message asks, once, and put the answer into the outbox.

    The answer is `{"request_id", "ok", "result" or "error": {code, message, allowed?}}`; it is not worth publishing
    after `expiry_seconds`. Nothing that a message can contain raises; only faults of the database do.
    """
    request_id: str | None = None
    try:
        if message.retained:
            raise Invalid(
                "a retained command would be done again at every connection; publish it without the retain flag",
                code="retained",
            )
        raw = parse_object(message.body, payload_limit_bytes)
        request_id = _request_id(raw)
        check_reference(message.object_reference)
        if message.command not in COMMANDS:
            raise Invalid(
                f"command {message.command[:64]!r} is not known; use one of {', '.join(COMMANDS)}",
                code="unknown_command",
                allowed=tuple(COMMANDS),
            )
        said = Said(
            now=now,
            origin=ORIGIN,
            key=request_id,
            topic_devices=topics.devices,
            command_expiry_seconds=expiry_seconds,
        )
        reply = answer(session, message.object_reference, message.command, raw, said)
    except BillingError as error:
        reply = _refusal(request_id, error)
    _send(session, message, reply, now, topics, expiry_seconds)


def answer(
    session: Session, object_reference: str, command: str, raw: Mapping[str, Any], said: Said
) -> Mapping[str, Any]:
    """The remembered answer to a repeat; else what the command gives, remembered. A dry run leaves no memory.

    `raw` carries the request id of `said`, and `command` is known. Raises what a dry run or a conflict refuses.
    """
    if raw.get("dry_run") is True:
        return _previewed(session, object_reference, command, validated(command, raw), said)
    digest = hashlib.sha256(canonical_json(raw).encode()).hexdigest()
    known = control.find(session, object_reference, command, said.key)
    if known is not None:
        if known.body_hash != digest:
            raise Conflict(
                f"request_id {said.key!r} was answered for another body; use a new request_id for a new request"
            )
        return known.reply
    try:
        result = run(session, command, object_reference, validated(command, raw), said)
        reply: dict[str, Any] = {"request_id": said.key, "ok": True, "result": result.as_json()}
    except BillingError as error:
        reply = _refusal(said.key, error)
    control.remember(
        session,
        object_reference=object_reference,
        command=command,
        request_id=said.key,
        body_hash=digest,
        reply=reply,
        now=said.now,
    )
    return reply


def _previewed(session: Session, object_reference: str, command: str, body: Body, said: Said) -> dict[str, Any]:
    """The answer to a command that only asks what it would bill: nothing is written, and nothing remembered."""
    shown = preview(
        session,
        lambda inside: run(inside, command, object_reference, body, said),
        contracts=contracts_of(session, object_reference, *body.contracts()),
        now=said.now,
        effective_on=body.effective_on(),
    )
    return {
        "request_id": said.key,
        "ok": True,
        "dry_run": True,
        "result": shown.result.as_json(),
        "preview": shown.as_json(),
    }


def _refusal(request_id: str | None, error: BillingError) -> dict[str, Any]:
    detail: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.allowed:
        detail["allowed"] = list(error.allowed)
    return {"request_id": request_id, "ok": False, "error": detail}


def _send(
    session: Session,
    message: ControlMessage,
    reply: Mapping[str, Any],
    now: datetime,
    topics: Topics,
    expiry_seconds: int,
) -> None:
    own = f"{topics.control}/objects/{message.object_reference}/{message.command}/reply"
    expires_at = now + timedelta(seconds=expiry_seconds)
    asked = message.response_topic
    same = asked == own
    outbox.put(
        session,
        own,
        reply,
        now=now,
        expires_at=expires_at,
        correlation_data=message.correlation_data if same else None,
    )
    if asked and not same and _may_answer_on(asked, topics):
        outbox.put(
            session,
            asked,
            reply,
            now=now,
            expires_at=expires_at,
            correlation_data=message.correlation_data,
        )


def _may_answer_on(topic: str, topics: Topics) -> bool:
    """Whether the gateway lends its voice to this topic: never where devices or commands are heard."""
    heard = topic.startswith((f"{topics.devices}/", f"{topics.control}/")) and not topic.endswith("/reply")
    return not heard and not topic.startswith("$") and not set(topic) & set("+#\0") and len(topic) <= 1024  # noqa: PLR2004 - far above any real one


# --- bodies ----------------------------------------------------------------------------------------------


def _request_id(raw: Mapping[str, Any]) -> str:
    value = raw.get("request_id")
    if not isinstance(value, str) or not 1 <= len(value) <= REQUEST_ID_LIMIT or not value.isprintable():
        raise Invalid(
            f"request_id is required: a text of 1 to {REQUEST_ID_LIMIT} printable characters, new for each request",
            code="request_id",
        )
    return value
