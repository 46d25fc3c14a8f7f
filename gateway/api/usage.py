"""Usage: entered in bulk through the door of the messages, listed, and taken back."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from billing.access import Permission, Principal
from billing.commands import Instant, Number
from billing.core.errors import NotFound
from billing.core.lifecycle import check_reference
from billing.wire import read_as
from gateway.entering import ADDED, THERE, Leaf, take, usage_body
from gateway.views.exact import exact
from gateway.web.bodies import Raw, accepts
from gateway.web.endpoints import allowed, router
from gateway.web.idempotent import Key, remembered
from gateway.web.paging import Cursor, Limit, Page, cursor_of, place_of
from gateway.web.security import needs
from gateway.web.service import Behind, Service
from storage import overview, registry
from storage.types import to_micros

BULK_LIMIT = 5_000
"""Values, or events, of one request: they share a transaction."""
usage = router("usage")
Adder = Annotated[Principal, Depends(needs(Permission.USAGE))]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Value(_Strict):
    """One value of one metric of one object; the same `id` again changes nothing."""

    object: str = Field(min_length=1, max_length=128)
    metric: str = Field(min_length=1, max_length=200)
    value: Number
    at: Instant
    id: str | None = Field(default=None, min_length=1, max_length=200)
    properties: dict[str, str] = Field(default_factory=dict, max_length=20)


class UsageBody(_Strict):
    records: list[Value] = Field(min_length=1, max_length=BULK_LIMIT)


class Report(_Strict):
    """What an object did: online, offline, or a word that a charge counts."""

    object: str = Field(min_length=1, max_length=128)
    event: str = Field(min_length=1, max_length=64)
    at: Instant
    id: str | None = Field(default=None, min_length=1, max_length=200)


class EventsBody(_Strict):
    events: list[Report] = Field(min_length=1, max_length=BULK_LIMIT)


class Taken(BaseModel):
    """What came of what was sent; what is refused waits in quarantine, whole, with its reason."""

    added: int
    already_there: int
    refused: dict[str, int]


class Record(BaseModel):
    """A usage record; `taken_back` says why, where it was."""

    occurred_at: datetime
    metric: str
    value: str
    unit: str
    properties: dict[str, str]
    id: str
    received_at: datetime
    origin: str
    taken_back: str


@usage.post("/usage", operation_id="add_usage", response_model=Taken, openapi_extra=accepts(UsageBody))
def add_usage(raw: Raw, behind: Behind, who: Adder, request: Request, key: Key = None) -> JSONResponse:
    """Enter usage in bulk. A repeat is recognised by `id`, else by object, metric and time, and changes nothing."""
    return remembered(behind, request, who, key, raw, lambda: _taken(behind, who, _values(raw), "telemetry"))


def _values(raw: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    return [
        (
            check_reference(it.object),
            usage_body(
                at=it.at.isoformat(),
                metric=it.metric,
                value=str(it.value),
                identity=it.id or "",
                properties=it.properties,
            ),
        )
        for it in read_as(UsageBody, raw).records
    ]


@usage.post("/events", operation_id="add_events", response_model=Taken, openapi_extra=accepts(EventsBody))
def add_events(raw: Raw, behind: Behind, who: Adder, request: Request, key: Key = None) -> JSONResponse:
    """Enter events of objects in bulk. The events of commands come with the commands, and are refused here."""
    return remembered(behind, request, who, key, raw, lambda: _taken(behind, who, _reports(raw), "lifecycle"))


def _reports(raw: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    entries = []
    for it in read_as(EventsBody, raw).events:
        fields: dict[str, Any] = {"ts": it.at.isoformat(), "event": it.event} | ({"id": it.id} if it.id else {})
        entries.append((check_reference(it.object), json.dumps(fields).encode()))
    return entries


@usage.get("/objects/{reference}/usage", operation_id="list_usage", dependencies=allowed(Permission.READ_FLEET))
def list_usage(
    reference: str,
    behind: Behind,
    since: Annotated[Instant, Query(description="From this instant on: facts are read in the order of time.")],
    until: Instant | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[Record]:
    """Usage records of an object in the order of time."""
    after = place_of(cursor, int, str, str)
    with behind.database.snapshot() as session:
        if reference not in registry.find(session, [reference]):
            raise NotFound(f"no object is called {reference!r}")
        rows = overview.usage_of(session, reference, since=since, until=until, limit=limit + 1, after=after)
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(
        items=[Record(**exact(row)) for row in rows[:limit]],
        next_cursor=None if last is None else cursor_of(to_micros(last["occurred_at"]), last["metric"], last["id"]),
    )


def _taken(behind: Service, who: Principal, entries: list[tuple[str, bytes]], leaf: Leaf) -> Taken:
    came = take(behind.database, behind.clock, behind.settings, entries, f"api:{who.name}", leaf=leaf)
    added, there = came.pop(ADDED, 0), came.pop(THERE, 0)
    return Taken(added=added, already_there=there, refused={word: count for word, count in came.items() if count})
