"""The catalogue: applied as a file is, shown with its versions."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlmodel import Session

from billing import catalogue as declared
from billing.access import Permission, Principal
from billing.core.errors import Invalid, NotFound
from gateway.sources.declaration import source_rules
from gateway.web.bodies import read
from gateway.web.endpoints import allowed, router
from gateway.web.idempotent import Key, once
from gateway.web.problems import Problem
from gateway.web.security import needs, principal
from gateway.web.service import Behind
from storage import catalogue as stored
from storage import subscribed

TYPES = ("application/yaml", "application/json")
catalogue = router("catalogue")


class Change(BaseModel):
    change: Literal["created", "changed", "unchanged"]
    what: str
    name: str
    detail: str


class Applied(BaseModel):
    dry_run: bool
    changes: list[Change]


class Metric(BaseModel):
    name: str
    unit: str
    unit_code: str
    kind: Literal["delta", "cumulative", "gauge", "state"]
    decimals: int


class Plan(BaseModel):
    """A version of a plan, and who is on it."""

    name: str
    version: int
    declared_at: datetime
    subscriptions: int
    running_items: int
    planned_from: date | None
    """When subscriptions are to take it that have not yet."""


class Catalogue(BaseModel):
    """What is declared; contracts and customers have lists of their own."""

    seller: dict[str, Any] | None
    metrics: list[Metric]
    plans: list[Plan]


class PlanVersion(BaseModel):
    """A version of a plan with its charges, as they were declared."""

    name: str
    version: int
    declared_at: datetime
    charges: list[dict[str, Any]]


async def _text(request: Request, behind: Behind, _who: Annotated[Principal, Depends(principal)]) -> str:
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found not in TYPES:
        raise Problem(415, "unsupported_media_type", f"the body is {found or 'of no type'}; send application/yaml")
    try:
        return (await read(request, behind.settings.http_body_limit_bytes)).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(f"the body is not UTF-8 text ({error.reason} at byte {error.start})", code="malformed") from None


@catalogue.post(
    "/catalogue",
    operation_id="apply_catalogue",
    response_model=Applied,
    openapi_extra={"requestBody": {"required": True, "content": {"application/yaml": {"schema": {"type": "object"}}}}},
)
def apply_catalogue(
    content: Annotated[str, Depends(_text)],
    behind: Behind,
    who: Annotated[Principal, Depends(needs(Permission.CATALOGUE))],
    request: Request,
    *,
    dry_run: Annotated[bool, Query(description="Say what would change, and change nothing.")] = False,
    key: Key = None,
) -> JSONResponse:
    """Declare metrics, plans, customers, contracts, subscriptions and sources; the same again changes nothing."""

    def work(session: Session) -> Applied:
        file = declared.load(content, "the catalogue", sources=source_rules(behind.settings))
        changes = declared.apply(session, file, behind.clock.now())
        if dry_run:
            session.rollback()
        shown = [Change(change=it.kind, what=it.noun, name=it.name, detail=it.detail) for it in changes]
        return Applied(dry_run=dry_run, changes=shown)

    return once(behind, request, who, None if dry_run else key, {"text": content}, work)


@catalogue.get("/catalogue", operation_id="show_catalogue", dependencies=allowed(Permission.READ_BILLING))
def show_catalogue(behind: Behind) -> Catalogue:
    """The seller, the metrics, and the versions of every plan."""
    with behind.database.snapshot() as session:
        row = stored.seller(session)
        seller = None if row is None else {**row.party, "currency": row.currency, "timezone": row.timezone}
        return Catalogue(
            seller=seller,
            metrics=[Metric(**row.model_dump()) for row in stored.metrics(session).values()],
            plans=[
                Plan(
                    name=name,
                    version=version,
                    declared_at=at,
                    subscriptions=taken,
                    running_items=running,
                    planned_from=to_come,
                )
                for name, version, at, taken, running, to_come in subscribed.counts(session)
            ],
        )


@catalogue.get("/plans/{plan:path}", operation_id="show_plan", dependencies=allowed(Permission.READ_BILLING))
def show_plan(plan: str, behind: Behind) -> list[PlanVersion]:
    """The versions of a plan with their charges."""
    with behind.database.snapshot() as session:
        found = subscribed.versions(session, plan)
    if not found:
        raise NotFound(f"no plan is called {plan!r}")
    return [
        PlanVersion(name=plan, version=row.version, declared_at=row.created_at, charges=row.definition["charges"])
        for row in found
    ]
