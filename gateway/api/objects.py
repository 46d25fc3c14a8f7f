"""Objects: created one by one or in bulk, listed by pages, shown whole, and told where they are in their lives."""

import uuid
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlmodel import Session

from billing import registry as registering
from billing.access import Permission, Principal, permission_of
from billing.commands import COMMANDS, CreateBody, new_object
from billing.control import answer
from billing.core.errors import BillingError, Invalid, NotFound
from billing.core.lifecycle import check_reference
from billing.recording import Said
from billing.wire import read_as
from gateway.views.exact import exact
from gateway.views.objects import event_row, listed_object, whole_object
from gateway.web.bodies import Raw, accepts
from gateway.web.endpoints import allowed, router
from gateway.web.idempotent import Key, once
from gateway.web.paging import Cursor, Limit, Page, cursor_of, place_of
from gateway.web.problems import problem, status_of_code
from gateway.web.security import needs
from gateway.web.service import Behind, Service
from storage import registry as stored
from storage.types import to_micros

objects = router("objects")


class ListedObject(BaseModel):
    reference: str
    kind: str
    status: Literal["draft", "pending", "active", "suspended", "terminated"]
    customer: str | None
    contract: str | None
    subscription: str | None


class Event(BaseModel):
    """A fact on an object's timeline."""

    occurred_at: datetime
    event: str
    origin: str
    detail: dict[str, Any]


class ItemSchedule(BaseModel):
    """One charge over one period; `ends_on` is its last day, numbers are exact."""

    starts_on: date
    ends_on: date
    due_on: date
    status: str
    quantity: str
    amount: str


class SentCommand(BaseModel):
    """A command that was sent to the object itself, and how far it is."""

    request_id: str
    command: str
    body: dict[str, Any]
    status: str
    requested_at: datetime
    sent_at: datetime | None
    answered_at: datetime | None
    expires_at: datetime
    reason: str | None


class ContractItem(BaseModel):
    """An object's service on one subscription; `ends_on` is its last day."""

    name: str
    contract: str
    subscription: str
    status: str
    starts_on: date
    ends_on: date
    schedules: list[ItemSchedule]


class WholeObject(ListedObject):
    """One object with its timeline (the newest thousand events) and its contract items."""

    attributes: dict[str, Any]
    created_at: datetime
    last_seen_at: datetime | None
    online: bool | None
    timeline: list[Event]
    commands: list[SentCommand]
    contract_items: list[ContractItem]


class Replied(BaseModel):
    """What the control topic replies to the same command; `preview` with a dry run."""

    request_id: str
    ok: Literal[True]
    dry_run: bool = False
    result: dict[str, Any]
    preview: dict[str, Any] | None = None


class NewBody(CreateBody):
    reference: str = Field(min_length=1, max_length=128)


class ImportEntry(CreateBody):
    request_id: str = ""
    reference: str = Field(min_length=1, max_length=128)


class ImportBody(BaseModel):
    """A fleet at once; a row that is wrong is refused, and the others are kept, unless `all_or_nothing`."""

    model_config = {"extra": "forbid", "strict": True}
    objects: list[dict[str, Any]] = Field(min_length=1, max_length=registering.IMPORT_LIMIT)
    all_or_nothing: bool = False


class RefusedEntry(BaseModel):
    index: int
    """Its place in the list, from 0."""
    reference: str
    code: str
    message: str


class Imported(BaseModel):
    created: int
    refused: list[RefusedEntry]


Status = Literal["draft", "pending", "active", "suspended", "terminated"]


@objects.get("/objects", operation_id="list_objects", dependencies=allowed(Permission.READ_FLEET))
def list_objects(
    behind: Behind,
    status: Status | None = None,
    contract: str | None = None,
    customer: str | None = None,
    subscription: str | None = None,
    kind: str | None = None,
    prefix: Annotated[str, Query(max_length=128, description="What the reference begins with.")] = "",
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[ListedObject]:
    """Objects in the order of their references; every condition that is given must hold."""
    (after,) = place_of(cursor, str) or ("",)
    with behind.database.snapshot() as session:
        found = stored.list_objects(
            session,
            status=status,
            contract=contract,
            customer=customer,
            subscription=subscription,
            kind=kind,
            prefix=prefix,
            after=after,
            limit=limit + 1,
        )
    return Page(
        items=[ListedObject(**listed_object(it)) for it in found[:limit]],
        next_cursor=cursor_of(found[limit - 1].reference) if len(found) > limit else None,
    )


@objects.get("/objects/{reference}", operation_id="show_object", dependencies=allowed(Permission.READ_FLEET))
def show_object(reference: str, behind: Behind) -> WholeObject:
    """One object: its timeline, its contract items and their invoicing schedules."""
    with behind.database.snapshot() as session:
        return WholeObject.model_validate(exact(whole_object(session, reference)))


@objects.get("/objects/{reference}/events", operation_id="list_events", dependencies=allowed(Permission.READ_FLEET))
def list_events(reference: str, behind: Behind, cursor: Cursor = None, limit: Limit = 100) -> Page[Event]:
    """The timeline of an object, the newest event first."""
    with behind.database.snapshot() as session:
        row = stored.find(session, [reference]).get(reference)
        if row is None:
            raise NotFound(f"no object is called {reference!r}")
        found = stored.events_of(session, row.id, before=place_of(cursor, int, int), limit=limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    return Page(
        items=[Event(**event_row(event)) for event in found[:limit]],
        next_cursor=None if last is None else cursor_of(to_micros(last.occurred_at), last.id or 0),
    )


@objects.post(
    "/objects",
    operation_id="create_object",
    status_code=201,
    response_model=Replied,
    responses={200: {"model": Replied, "description": "What it would bill, with `dry_run`."}},
    openapi_extra=accepts(NewBody, without="request_id"),
)
def create_object(
    raw: Raw,
    behind: Behind,
    who: Annotated[Principal, Depends(needs(Permission.OBJECTS))],
    key: Key = None,
) -> JSONResponse:
    """Create one object: pending, unless `draft`; with customer, contract and subscription it may be activated too."""
    fields = dict(raw)
    reference = fields.pop("reference", None)
    if not isinstance(reference, str):
        raise Invalid("the body is refused: reference: it is required, a text of 1 to 128 characters")
    return _obey(behind, who, "create", check_reference(reference), fields, key, status=201)


@objects.post(
    "/bulk/objects", operation_id="import_objects", response_model=Imported, openapi_extra=accepts(ImportBody)
)
def import_objects(
    raw: Raw,
    behind: Behind,
    who: Annotated[Principal, Depends(needs(Permission.OBJECTS))],
    request: Request,
    key: Key = None,
) -> JSONResponse:
    """Create up to 2000 objects at once; a reference that is there already is refused, so a repeat changes nothing."""
    answered = once(behind, request, who, key, raw, lambda session: _imported(session, behind, who, raw))
    behind.wake()
    return answered


def _imported(session: Session, behind: Service, who: Principal, raw: Mapping[str, Any]) -> Imported:
    body = read_as(ImportBody, raw)
    refused: list[RefusedEntry] = []
    good: list[tuple[int, registering.NewObject, Literal["draft", "pending"]]] = []
    for index, row in enumerate(body.objects):
        try:
            entry = read_as(ImportEntry, row)
            good.append((index, new_object(entry.reference, entry), "draft" if entry.draft else "pending"))
        except BillingError as error:
            refused.append(_refused(index, row.get("reference"), error))
    created = 0
    inside = session.begin_nested()
    for status in ("draft", "pending"):
        chosen = [(index, new) for index, new, wanted in good if wanted == status]
        outcomes = registering.create_objects(
            session,
            [new for _, new in chosen],
            status=status,
            now=behind.clock.now(),
            origin=f"api:{who.name}",
            topic_devices=behind.settings.topic_devices,
            command_expiry_seconds=behind.settings.command_expiry_seconds,
        )
        for (index, new), outcome in zip(chosen, outcomes, strict=True):
            if isinstance(outcome, BillingError):
                refused.append(_refused(index, new.reference, outcome))
            else:
                created += 1
    if refused and body.all_or_nothing:
        inside.rollback()
        created = 0
    else:
        inside.commit()
    return Imported(created=created, refused=sorted(refused, key=lambda it: it.index))


def _refused(index: int, reference: object, error: BillingError) -> RefusedEntry:
    named = reference if isinstance(reference, str) else ""
    return RefusedEntry(index=index, reference=named, code=error.code, message=error.message)


def _obey(
    behind: Service,
    who: Principal,
    command: str,
    reference: str,
    fields: Mapping[str, Any],
    key: str | None,
    *,
    status: int = 200,
) -> JSONResponse:
    """Do a command as the control topic does: the Idempotency-Key is its request id."""
    if "request_id" in fields:
        raise Invalid("the body is refused: request_id: send it as the header Idempotency-Key")
    said = Said(
        now=behind.clock.now(),
        origin=f"api:{who.name}",
        key=key or f"api-{uuid.uuid4().hex}",
        topic_devices=behind.settings.topic_devices,
        command_expiry_seconds=behind.settings.command_expiry_seconds,
    )
    with behind.database.transaction() as session:
        reply = answer(session, reference, command, {**fields, "request_id": said.key}, said)
    behind.wake()
    if reply["ok"]:
        return JSONResponse(dict(reply), 200 if reply.get("dry_run") else status)
    error = reply["error"]
    return problem(
        status_of_code(error["code"]), error["code"], error["message"], allowed=tuple(error.get("allowed", ()))
    )


def _told(command: str) -> Callable[..., JSONResponse]:
    def tell(
        reference: str,
        raw: Raw,
        behind: Behind,
        who: Annotated[Principal, Depends(needs(permission_of(command)))],
        key: Key = None,
    ) -> JSONResponse:
        return _obey(behind, who, command, check_reference(reference), raw, key)

    return tell


for _command, _form in COMMANDS.items():
    if _command != "create":
        objects.add_api_route(
            f"/objects/{{reference}}/{_command}",
            _told(_command),
            methods=["POST"],
            operation_id=f"{_command}_object",
            summary=f"Tell an object: {_command}",
            description="The body is that of the control topic, without `request_id`.",
            response_model=Replied,
            openapi_extra=accepts(_form.body, without="request_id"),
        )
