"""Commands from the back office: checked, done once whatever the number of deliveries, and always answered.

The law: the scope of a request id is (object, command); its repeat gets the first answer again, the same id with
another body is a conflict, and a bad request changes nothing. A fault of the database is not an answer: it is
raised, and the message comes again.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Any, NoReturn, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from sqlmodel import Session

from billing import lifecycle, registry
from billing.catalogue import Day, Text
from billing.core.errors import BillingError, Conflict, Invalid
from billing.core.lifecycle import check_reference
from billing.lifecycle import TERM_MONTHS, TERM_MONTHS_LIMIT, Activation, ObjectInfo, Outcome
from billing.registry import NewObject
from storage import control, outbox
from storage.types import canonical_json

REQUEST_ID_LIMIT = 128
PAYLOAD_LIMIT_BYTES = 65_536
EXPIRY_SECONDS = 86_400
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


class Body(BaseModel):
    """What every command carries."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    request_id: Annotated[Text, StringConstraints(max_length=REQUEST_ID_LIMIT)]


class OwnersBody(Body):
    customer: Text | None = None
    contract: Text | None = None
    subscription: Text | None = None
    starts_on: Day | None = None
    term_months: int = Field(default=TERM_MONTHS, ge=1, le=TERM_MONTHS_LIMIT)


class CreateBody(OwnersBody):
    kind: Annotated[str, StringConstraints(max_length=registry.KIND_LIMIT)] = ""
    attributes: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    activate: bool = False
    draft: bool = False
    """Create it as a draft, to be confirmed; pending otherwise."""


class ActivateBody(OwnersBody):
    pass


class ConfirmBody(Body):
    pass


class DayBody(Body):
    on: Day | None = None


def execute(
    session: Session,
    message: ControlMessage,
    now: datetime,
    *,
    topics: Topics = DEFAULT_TOPICS,
    payload_limit_bytes: int = PAYLOAD_LIMIT_BYTES,
    expiry_seconds: int = EXPIRY_SECONDS,
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
        raw = _parse(message.body, payload_limit_bytes)
        request_id = _request_id(raw)
        check_reference(message.object_reference)
        if message.command not in COMMANDS:
            raise Invalid(
                f"command {message.command[:64]!r} is not known; use one of {', '.join(COMMANDS)}",
                code="unknown_command",
                allowed=COMMANDS,
            )
        reply = _answer(session, message, raw, request_id, now, topics)
    except BillingError as error:
        reply = _refusal(request_id, error)
    _send(session, message, reply, now, topics, expiry_seconds)


def _answer(
    session: Session,
    message: ControlMessage,
    raw: Mapping[str, Any],
    request_id: str,
    now: datetime,
    topics: Topics,
) -> Mapping[str, Any]:
    """The remembered answer to a repeat; else what the command gives, remembered."""
    digest = hashlib.sha256(canonical_json(raw).encode()).hexdigest()
    known = control.find(session, message.object_reference, message.command, request_id)
    if known is not None:
        if known.body_hash != digest:
            raise Conflict(
                f"request_id {request_id!r} was answered for another body; use a new request_id for a new request"
            )
        return known.reply
    try:
        model, run = COMMANDS[message.command]
        result = run(session, message.object_reference, _validated(model, raw), now, request_id, topics)
        if isinstance(result, BillingError):
            raise result
        reply: dict[str, Any] = {"request_id": request_id, "ok": True, "result": result.as_json()}
    except BillingError as error:
        reply = _refusal(request_id, error)
    control.remember(
        session,
        object_reference=message.object_reference,
        command=message.command,
        request_id=request_id,
        body_hash=digest,
        reply=reply,
        now=now,
    )
    return reply


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


def _parse(body: bytes, limit: int) -> dict[str, Any]:
    if len(body) > limit:
        raise Invalid(f"the body has {len(body)} bytes, and {limit} are allowed; shorten it", code="too_large")
    try:
        raw = json.loads(body, object_pairs_hook=_object, parse_constant=_no_constant)
        json.dumps(raw, allow_nan=False, ensure_ascii=False).encode()
    except BillingError:
        raise
    except (ValueError, RecursionError):
        raise Invalid("the body is not JSON in UTF-8; send one JSON object", code="malformed") from None
    if not isinstance(raw, dict):
        raise Invalid(f"the body is a JSON {type(raw).__name__}; send a JSON object", code="malformed")
    return raw


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise Invalid("the body has a key twice in one object; keep one", code="malformed")
    return values


def _no_constant(word: str) -> NoReturn:
    raise Invalid(f"the body contains {word}, which is not JSON; leave it out", code="malformed")


def _request_id(raw: Mapping[str, Any]) -> str:
    value = raw.get("request_id")
    if not isinstance(value, str) or not 1 <= len(value) <= REQUEST_ID_LIMIT or not value.isprintable():
        raise Invalid(
            f"request_id is required: a text of 1 to {REQUEST_ID_LIMIT} printable characters, new for each request",
            code="request_id",
        )
    return value


def _validated(model: type[Body], raw: Mapping[str, Any]) -> Body:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(str(part) for part in detail['loc'])}: {detail['msg'].removeprefix('Value error, ')}"
            for detail in error.errors(include_url=False)[:10]
        )
        raise Invalid(f"the body is refused: {told}") from None


# --- commands --------------------------------------------------------------------------------------------

Command: TypeAlias = Callable[[Session, str, Any, datetime, str, Topics], Outcome]


def _create(session: Session, reference: str, body: CreateBody, now: datetime, key: str, topics: Topics) -> Outcome:
    new = NewObject(
        reference=reference,
        kind=body.kind,
        attributes=body.attributes,
        customer=body.customer,
        contract=body.contract,
        subscription=body.subscription,
        activate=body.activate,
        starts_on=body.starts_on,
        term_months=body.term_months,
    )
    status: Any = "draft" if body.draft else "pending"
    return registry.create_objects(session, [new], status, now, ORIGIN, key, topic_devices=topics.devices)[0]


def _activate(session: Session, reference: str, body: ActivateBody, now: datetime, key: str, topics: Topics) -> Outcome:
    request = Activation(
        reference=reference,
        customer=body.customer,
        contract=body.contract,
        subscription=body.subscription,
        starts_on=body.starts_on,
        term_months=body.term_months,
    )
    return lifecycle.activate(session, [request], now, ORIGIN, key, topic_devices=topics.devices)[0]


def _confirm(session: Session, reference: str, _body: ConfirmBody, now: datetime, key: str, topics: Topics) -> Outcome:
    return lifecycle.confirm(session, reference, None, now, ORIGIN, key, topic_devices=topics.devices)


def _dated(use_case: Callable[..., ObjectInfo]) -> Command:
    def run(session: Session, reference: str, body: DayBody, now: datetime, key: str, topics: Topics) -> Outcome:
        return use_case(session, reference, body.on, now, ORIGIN, key, topic_devices=topics.devices)

    return run


COMMANDS: Mapping[str, tuple[type[Body], Command]] = MappingProxyType(
    {
        "create": (CreateBody, _create),
        "confirm": (ConfirmBody, _confirm),
        "activate": (ActivateBody, _activate),
        "suspend": (DayBody, _dated(lifecycle.suspend)),
        "resume": (DayBody, _dated(lifecycle.resume)),
        "terminate": (DayBody, _dated(lifecycle.terminate)),
    }
)
"""The words that the control topic takes, with the form of each body."""
