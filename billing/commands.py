"""The words that the control topic takes: the form of each body, and the use case behind it.

The law: a body says nothing that its command does not know, and every command may be asked first what it would bill.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeAlias, TypedDict

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema
from sqlmodel import Session

from billing import (
    boundaries,
    changes,
    downlink,
    exchanging,
    lifecycle,
    readings,
    registry,
    repricing,
    reversing,
    terms,
)
from billing.activation import NOTICE_DAYS_LIMIT, TERM_MONTHS, TERM_MONTHS_LIMIT, Activation, ObjectInfo, Outcome
from billing.catalogue import Day, Text
from billing.core.durations import duration
from billing.core.errors import BillingError, Invalid
from billing.core.quantity import number_of
from billing.recording import Said
from billing.registry import NewObject
from billing.telling import Starts
from billing.wire import read_as

REQUEST_ID_LIMIT = 128
IDENTITY_LIMIT = 250
"""Characters of the id of a usage record: a sender's 200, and what is put after it."""


def _instant(value: object) -> object:
    """An instant as RFC 3339 writes it, with a zone."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is not an instant; write 2022-04-14T10:00:00+02:00") from None
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError(f"{value.isoformat()} has no time zone; write 2022-04-14T10:00:00+02:00")
    return value


def _number(value: object) -> object:
    """A number written as text or as an integer: a JSON float has lost digits already."""
    if isinstance(value, str):
        try:
            return number_of(value)
        except Invalid as error:
            raise ValueError(error.message) from None
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, Decimal):
        return value
    raise ValueError('write the number as a text, "12.5"')


Instant = Annotated[
    datetime, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"}, mode="validation")
]
Number = Annotated[
    Decimal,
    BeforeValidator(_number),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": r"^-?[0-9]{1,30}(\.[0-9]{1,30})?$"}, {"type": "integer"}]},
        mode="validation",
    ),
]


class Body(BaseModel):
    """What every command carries."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    request_id: Annotated[Text, StringConstraints(max_length=REQUEST_ID_LIMIT)]
    dry_run: bool = False
    """Only answer what the command would bill; nothing is written, and the request id is not used up."""

    def contracts(self) -> tuple[str, ...]:
        """The contracts that the command names."""
        contract = getattr(self, "contract", None)
        return () if contract is None else (contract,)

    def effective_on(self) -> date | None:
        """The day from which the command holds, when it says one."""
        day: date | None = getattr(self, "on", None) or getattr(self, "starts_on", None)
        return day


class OwnersBody(Body):
    customer: Text | None = None
    contract: Text | None = None
    subscription: Text | None = None
    starts_on: Day | None = None
    term_months: int = Field(default=TERM_MONTHS, ge=1, le=TERM_MONTHS_LIMIT)
    renewal: Literal["none", "automatic"] | None = None
    notice_days: int | None = Field(default=None, ge=0, le=NOTICE_DAYS_LIMIT)


class CreateBody(OwnersBody):
    kind: Annotated[str, StringConstraints(max_length=registry.KIND_LIMIT)] = ""
    attributes: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    activate: bool = False
    draft: bool = False
    """Create it as a draft, to be confirmed; pending otherwise."""


class ActivateBody(OwnersBody):
    starts: Starts | None = None


class ConfirmBody(Body):
    pass


class DayBody(Body):
    on: Day | None = None


class TerminateBody(DayBody):
    fee: Literal["none", "rest_of_term"] = "none"
    subscription: Text | None = None
    """The one that ends, of an object on several."""


class ChangePlanBody(DayBody):
    subscription: Text
    instead_of: Text | None = None


class ChangePriceBody(DayBody):
    version: int | None = Field(default=None, ge=1)
    subscription: Text | None = None


class TransferBody(DayBody):
    contract: Text
    subscription: Text | None = None
    instead_of: Text | None = None


class ReverseBody(Body):
    metric: Text
    at: Instant
    id: Annotated[str, StringConstraints(max_length=IDENTITY_LIMIT)] | None = None
    reason: Text
    value: Number | None = None

    def effective_on(self) -> date | None:
        """None: what was charged for the day is corrected by the next close, which may be long after it."""
        return None


class ExchangeBody(Body):
    at: Instant | None = None
    metric: Text | None = None
    final: Number | None = None
    initial: Number | None = None
    note: Text | None = None
    correct: bool = False

    def effective_on(self) -> date | None:
        """None: what was charged since is corrected by the next close."""
        return None


def _length(value: object) -> object:
    if isinstance(value, str):
        try:
            return duration(value)
        except Invalid as error:
            raise ValueError(error.message) from None
    raise ValueError('write a length of time as a text, "1h"')


class CommandBody(Body):
    name: Annotated[Text, StringConstraints(max_length=downlink.NAME_LIMIT)]
    body: dict[str, Any] = Field(default_factory=dict)
    expires: Annotated[timedelta, BeforeValidator(_length)] | None = None


class ReadingsBody(Body):
    metric: Text
    at: Instant | None = None
    reason: Text | None = None

    def effective_on(self) -> date | None:
        """None: what was charged since is corrected by the next close."""
        return None


class RejectReadingsBody(ReadingsBody):
    until: Instant | None = None


class ExchangeReadingsBody(ReadingsBody):
    final: Number | None = None
    initial: Number | None = None


class ReplaceBoundaryBody(Body):
    metric: Text
    on: Day
    value: Number | None = None
    reason: Text | None = None

    def effective_on(self) -> date | None:
        """None: what was charged on both sides is corrected by the next close."""
        return None


def new_object(reference: str, body: CreateBody) -> NewObject:
    """The object that a body asks for."""
    return NewObject(
        reference=reference,
        kind=body.kind,
        attributes=body.attributes,
        customer=body.customer,
        contract=body.contract,
        subscription=body.subscription,
        activate=body.activate,
        starts_on=body.starts_on,
        term_months=body.term_months,
        renewal=body.renewal,
        notice_days=body.notice_days,
    )


class _Where(TypedDict):
    topic_devices: str
    command_expiry_seconds: int


def _where(said: Said) -> _Where:
    return {"topic_devices": said.topic_devices, "command_expiry_seconds": said.command_expiry_seconds}


def _create(session: Session, reference: str, body: CreateBody, said: Said) -> Outcome:
    new = new_object(reference, body)
    status: Literal["draft", "pending"] = "draft" if body.draft else "pending"
    return registry.create_objects(session, [new], status, said.now, said.origin, said.key, **_where(said))[0]


def _activate(session: Session, reference: str, body: ActivateBody, said: Said) -> Outcome:
    request = Activation(
        reference=reference,
        customer=body.customer,
        contract=body.contract,
        subscription=body.subscription,
        starts_on=body.starts_on,
        term_months=body.term_months,
        renewal=body.renewal,
        notice_days=body.notice_days,
        starts=body.starts,
    )
    return lifecycle.activate(session, [request], said.now, said.origin, said.key, **_where(said))[0]


def _confirm(session: Session, reference: str, _body: ConfirmBody, said: Said) -> Outcome:
    return lifecycle.confirm(
        session, reference, None, said.now, said.origin, said.key, topic_devices=said.topic_devices
    )


def _terminate(session: Session, reference: str, body: TerminateBody, said: Said) -> Outcome:
    return lifecycle.terminate(
        session,
        reference,
        body.on,
        said.now,
        said.origin,
        said.key,
        fee=body.fee,
        subscription=body.subscription,
        topic_devices=said.topic_devices,
        command_expiry_seconds=said.command_expiry_seconds,
    )


def _change_plan(session: Session, reference: str, body: ChangePlanBody, said: Said) -> Outcome:
    move = changes.Move(on=body.on, subscription=body.subscription, instead_of=body.instead_of)
    return changes.change_plan(session, reference, move, said)


def _change_price(session: Session, reference: str, body: ChangePriceBody, said: Said) -> Outcome:
    told = repricing.Reprice(on=body.on, version=body.version, subscription=body.subscription)
    return repricing.change_price(session, reference, told, said)


def _transfer(session: Session, reference: str, body: TransferBody, said: Said) -> Outcome:
    move = changes.Move(on=body.on, contract=body.contract, subscription=body.subscription, instead_of=body.instead_of)
    return changes.transfer(session, reference, move, said)


def _reverse(session: Session, reference: str, body: ReverseBody, said: Said) -> Outcome:
    taken = reversing.Taken(metric=body.metric, at=body.at, identity=body.id, reason=body.reason, value=body.value)
    return reversing.reverse(session, reference, taken, said)


def _exchange(session: Session, reference: str, body: ExchangeBody, said: Said) -> Outcome:
    told = exchanging.Exchange(
        at=body.at,
        metric=body.metric,
        final=body.final,
        initial=body.initial,
        note=body.note,
        correct=body.correct,
    )
    return exchanging.exchange(session, reference, told, said)


def _command(session: Session, reference: str, body: CommandBody, said: Said) -> downlink.CommandInfo:
    new = downlink.NewCommand(name=body.name, body=body.body, expires_in=body.expires)
    return downlink.send(session, reference, new, said)


Done: TypeAlias = ObjectInfo | downlink.CommandInfo
"""What a command came to."""
Run = Callable[[Session, str, Any, Said], Outcome | downlink.CommandInfo]


def _replace_boundary(session: Session, reference: str, body: ReplaceBoundaryBody, said: Said) -> Outcome:
    told = boundaries.Replacement(metric=body.metric, on=body.on, value=body.value, reason=body.reason or "")
    return boundaries.replace_boundary(session, reference, told, said)


def _decide(use_case: Callable[..., ObjectInfo]) -> Run:
    def run(session: Session, reference: str, body: ReadingsBody, said: Said) -> Outcome:
        told = readings.Decision(
            metric=body.metric,
            at=body.at,
            until=getattr(body, "until", None),
            reason=body.reason or "",
            final=getattr(body, "final", None),
            initial=getattr(body, "initial", None),
        )
        return use_case(session, reference, told, said)

    return run


def _told_on(use_case: Callable[..., ObjectInfo]) -> Run:
    """One of which the object may be told."""

    def run(session: Session, reference: str, body: DayBody, said: Said) -> Outcome:
        return use_case(session, reference, body.on, said.now, said.origin, said.key, **_where(said))

    return run


def _dated(use_case: Callable[..., ObjectInfo]) -> Run:
    def run(session: Session, reference: str, body: DayBody, said: Said) -> Outcome:
        return use_case(session, reference, body.on, said.now, said.origin, said.key, topic_devices=said.topic_devices)

    return run


@dataclass(frozen=True, slots=True)
class Command:
    """The form of a command's body, and what it does."""

    body: type[Body]
    run: Run


COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "create": Command(CreateBody, _create),
        "confirm": Command(ConfirmBody, _confirm),
        "activate": Command(ActivateBody, _activate),
        "suspend": Command(DayBody, _told_on(lifecycle.suspend)),
        "resume": Command(DayBody, _told_on(lifecycle.resume)),
        "change_plan": Command(ChangePlanBody, _change_plan),
        "change_price": Command(ChangePriceBody, _change_price),
        "transfer": Command(TransferBody, _transfer),
        "no_renew": Command(DayBody, _dated(terms.no_renew)),
        "terminate": Command(TerminateBody, _terminate),
        "exchange": Command(ExchangeBody, _exchange),
        "reverse": Command(ReverseBody, _reverse),
        "command": Command(CommandBody, _command),
        "accept_readings": Command(ReadingsBody, _decide(readings.accept)),
        "reject_readings": Command(RejectReadingsBody, _decide(readings.reject)),
        "exchange_readings": Command(ExchangeReadingsBody, _decide(readings.exchange)),
        "replace_boundary": Command(ReplaceBoundaryBody, _replace_boundary),
    }
)
"""The words that the control topic takes."""


def validated(command: str, raw: Mapping[str, Any]) -> Body:
    """The body of a command that is known. Raises Invalid, naming every key that is wrong."""
    return read_as(COMMANDS[command].body, raw)


def run(session: Session, command: str, reference: str, body: Body, said: Said) -> Done:
    """Do a command that is known; what refuses it is raised."""
    outcome = COMMANDS[command].run(session, reference, body, said)
    if isinstance(outcome, BillingError):
        raise outcome
    return outcome
