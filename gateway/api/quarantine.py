"""Refused messages and the sources that read: listed, shown, replayed, discarded."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Depends, Path, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from billing.access import Permission, Principal
from billing.commands import Instant
from billing.core.errors import NotFound
from billing.core.redacting import redacted, shown
from billing.wire import read_as
from gateway.replaying import discard_all, replay_all
from gateway.sources.declaration import topics_of
from gateway.views.quarantine import row
from gateway.web.bodies import Raw, accepts
from gateway.web.endpoints import allowed, router
from gateway.web.idempotent import Key, remembered
from gateway.web.paging import Cursor, Limit, Page, cursor_of, place_of
from gateway.web.security import needs
from gateway.web.service import Behind
from storage import quarantine as store
from storage import sources as stored_sources

IDS_LIMIT = 1_000
quarantine = router("quarantine")
Mender = Annotated[Principal, Depends(needs(Permission.QUARANTINE))]
Identity = Annotated[int, Path(ge=1, le=2**63 - 1)]


class Refused(BaseModel):
    """A refused message, with its reason."""

    id: int
    received_at: datetime
    reason: str
    source: str | None
    object: str | None
    topic: str
    detail: str
    status: Literal["waiting", "replayed", "discarded"]


class Whole(Refused):
    """With its payload as text; bytes that are no UTF-8 stand in hexadecimal."""

    payload: str
    properties: str | None
    """The content type and the user properties that came with it under MQTT 5, as JSON; secrets masked."""


class Which(BaseModel):
    """Messages with all of these in common; at least one is given."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"minProperties": 1})
    ids: list[Annotated[int, Field(ge=1, le=2**63 - 1)]] | None = Field(
        default=None, min_length=1, max_length=IDS_LIMIT
    )
    reason: str | None = None
    object: str | None = None
    source: str | None = None
    since: Instant | None = None
    until: Instant | None = None

    @model_validator(mode="after")
    def _says_which(self) -> "Which":
        if all(value is None for value in self.model_dump().values()):
            raise ValueError("say which: ids, reason, object, source, since or until")
        return self

    def conditions(self) -> store.Which:
        return store.Which(
            ids=self.ids,
            reason=self.reason,
            object_reference=self.object,
            source=self.source,
            since=self.since,
            until=self.until,
        )


class Stays(BaseModel):
    id: int
    message: str


class Replayed(BaseModel):
    """What came in, and why the others wait on."""

    replayed: int
    stay: list[Stays]


class Discarded(BaseModel):
    discarded: int


class Source(BaseModel):
    name: str
    version: int
    enabled: bool
    topics: list[str]
    unknown_objects: str
    since: datetime


@quarantine.get("/quarantine", operation_id="list_quarantine", dependencies=allowed(Permission.READ_FLEET))
def list_quarantine(
    behind: Behind,
    status: Literal["waiting", "replayed", "discarded"] = "waiting",
    reason: str | None = None,
    object: str | None = None,  # noqa: A002 - the word of every other list
    source: str | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[Refused]:
    """Refused messages in the order in which they came."""
    (after,) = place_of(cursor, int) or (0,)
    which = store.Which(reason=reason, object_reference=object, source=source, since=since, until=until)
    with behind.database.snapshot() as session:
        found = store.listed(session, status=status, which=which, after=after, limit=limit + 1)
    return Page(
        items=[Refused(**row(message), status=message.status) for message in found[:limit]],
        next_cursor=cursor_of(found[limit - 1].id or 0) if len(found) > limit else None,
    )


@quarantine.get(
    "/quarantine/{identity:int}", operation_id="show_quarantine", dependencies=allowed(Permission.READ_FLEET)
)
def show_quarantine(identity: Identity, behind: Behind) -> Whole:
    """One refused message with its payload."""
    with behind.database.snapshot() as session:
        message = store.find(session, identity)
        if message is None:
            raise NotFound(f"no quarantined message has the id {identity}")
        properties = None if message.properties is None else redacted(store.as_text(message.properties))
        return Whole(**row(message), status=message.status, payload=shown(message.payload), properties=properties)


@quarantine.post(
    "/quarantine/replay", operation_id="replay_quarantine", response_model=Replayed, openapi_extra=accepts(Which)
)
def replay_quarantine(raw: Raw, behind: Behind, who: Mender, request: Request, key: Key = None) -> JSONResponse:
    """Take messages in again, after the registry or the catalogue was mended; a second replay gives nothing."""

    def work() -> Replayed:
        which = read_as(Which, raw).conditions()
        came = replay_all(behind.database, behind.settings, which, now=behind.clock.now())
        stay = [Stays(id=identity, message=sentence) for identity, sentence in came.stayed.items()]
        return Replayed(replayed=came.done, stay=stay)

    answered = remembered(behind, request, who, key, raw, work)
    behind.wake()
    return answered


@quarantine.post(
    "/quarantine/discard", operation_id="discard_quarantine", response_model=Discarded, openapi_extra=accepts(Which)
)
def discard_quarantine(raw: Raw, behind: Behind, who: Mender, request: Request, key: Key = None) -> JSONResponse:
    """Give messages up; they stay listed as discarded."""

    def work() -> Discarded:
        which = read_as(Which, raw).conditions()
        return Discarded(discarded=discard_all(behind.database, which, now=behind.clock.now()))

    return remembered(behind, request, who, key, raw, work)


@quarantine.get("/sources", operation_id="list_sources", dependencies=allowed(Permission.READ_FLEET))
def list_sources(behind: Behind) -> list[Source]:
    """How messages of other formats are read: the last version of each source."""
    with behind.database.snapshot() as session:
        return [
            Source(
                name=row.name,
                version=row.version,
                enabled=row.definition.get("enabled", True),
                topics=list(topics_of(row.definition)),
                unknown_objects=row.definition.get("unknown_objects", "quarantine"),
                since=row.created_at,
            )
            for row in stored_sources.in_force(session)
        ]
