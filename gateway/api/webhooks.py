"""Webhooks: declared, listed, removed, switched on again, and what each was told."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Depends, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session

from billing import webhooks as declared
from billing.access import Permission, Principal
from billing.wire import read_as
from gateway.web.bodies import Raw, accepts
from gateway.web.endpoints import allowed, router
from gateway.web.idempotent import Key, once
from gateway.web.paging import Cursor, Limit, Page, cursor_of, place_of
from gateway.web.security import needs
from gateway.web.service import Behind
from storage import webhooks as stored
from storage.tables import Webhook as Stored
from storage.telling import EVENTS

webhooks = router("webhooks")
Owner = Annotated[Principal, Depends(needs(Permission.WEBHOOKS))]
Identity = Annotated[int, Path(ge=1, le=2**31 - 1)]
READS = allowed(Permission.WEBHOOKS)


class WebhookBody(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    url: str = Field(min_length=1, max_length=declared.URL_LIMIT)
    events: list[str] = Field(
        min_length=1, max_length=len(EVENTS), json_schema_extra={"items": {"type": "string", "enum": list(EVENTS)}}
    )


class Webhook(BaseModel):
    """An address that is told events; `state` is `off` when it failed for too long, and `why` says so."""

    id: int
    url: str
    events: list[str]
    state: Literal["on", "off"]
    why: str
    created_at: datetime
    failing_since: datetime | None


class Declared(Webhook):
    """With the secret that its messages are signed with: shown once."""

    secret: str


class Delivery(BaseModel):
    """What a webhook was told, and what its last attempt came to."""

    message_id: str
    event: str
    status: Literal["waiting", "delivered", "failed"]
    attempts: int
    created_at: datetime
    next_at: datetime
    answered_at: datetime | None
    answer: str


@webhooks.post(
    "/webhooks",
    operation_id="add_webhook",
    status_code=201,
    response_model=Declared,
    openapi_extra=accepts(WebhookBody),
)
def add_webhook(raw: Raw, behind: Behind, who: Owner, request: Request, key: Key = None) -> JSONResponse:
    """Declare an address to tell; the answer has the secret, once (a repeat with the same key has it again)."""

    def work(session: Session) -> Declared:
        body = read_as(WebhookBody, raw)
        private = behind.settings.webhook_private_addresses
        identity, secret = declared.add(session, body.url, body.events, behind.clock.now(), private=private)
        return Declared(**_shown(declared.known(session, identity)).model_dump(), secret=secret)

    return once(behind, request, who, key, raw, work, status=201)


@webhooks.get("/webhooks", operation_id="list_webhooks", dependencies=READS)
def list_webhooks(behind: Behind) -> list[Webhook]:
    """The webhooks in the order of their declaration."""
    with behind.database.snapshot() as session:
        return [_shown(row) for row in stored.listed(session)]


@webhooks.delete("/webhooks/{identity}", operation_id="remove_webhook", status_code=204, dependencies=READS)
def remove_webhook(identity: Identity, behind: Behind) -> Response:
    """Tell an address nothing any more; what waits for it is given up."""
    with behind.database.transaction() as session:
        declared.remove(session, identity, behind.clock.now())
    return Response(status_code=204)


@webhooks.post("/webhooks/{identity}/enable", operation_id="enable_webhook", response_model=Webhook)
def enable_webhook(identity: Identity, behind: Behind, who: Owner, request: Request, key: Key = None) -> JSONResponse:
    """Switch a webhook on again that failed for too long; what waits is told now."""

    def work(session: Session) -> Webhook:
        declared.enable(session, identity)
        return _shown(declared.known(session, identity))

    answered = once(behind, request, who, key, {}, work)
    behind.wake()
    return answered


@webhooks.get("/webhooks/{identity}/deliveries", operation_id="list_deliveries", dependencies=READS)
def list_deliveries(identity: Identity, behind: Behind, cursor: Cursor = None, limit: Limit = 100) -> Page[Delivery]:
    """What a webhook was told, the newest first."""
    (before,) = place_of(cursor, int) or (None,)
    with behind.database.snapshot() as session:
        declared.known(session, identity)
        found = stored.deliveries(session, identity, before=before, limit=limit + 1)
    return Page(
        items=[Delivery.model_validate(row.model_dump()) for row in found[:limit]],
        next_cursor=cursor_of(found[limit - 1].id or 0) if len(found) > limit else None,
    )


def _shown(row: Stored) -> Webhook:
    return Webhook(
        id=row.id or 0,
        url=row.url,
        events=row.events,
        state="on" if row.disabled_at is None else "off",
        why=row.disabled_why,
        created_at=row.created_at,
        failing_since=row.failing_since,
    )
