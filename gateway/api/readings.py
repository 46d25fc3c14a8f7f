"""What people look at before they decide of registers: held readings, values at the ends of periods, gaps."""

from datetime import datetime
from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel

from billing import boundaries as kept
from billing import readings as waiting
from billing.access import Permission
from gateway.views.exact import exact
from gateway.web.endpoints import allowed, router
from gateway.web.service import Behind
from storage import gaps

GAPS_LIMIT = 1_000
readings = router("readings")
PRINTED = "^[!-~]+$"
"""References have no other characters than these."""
Reference = Annotated[str, Path(min_length=1, max_length=128)]
Name = Annotated[str | None, Query(min_length=1, max_length=128, pattern=PRINTED)]


class Held(BaseModel):
    """Readings of one register that wait for a decision; quantities as text, in the metric's unit."""

    object: str
    metric: str
    state: str
    reason: str
    readings: int
    before_at: datetime
    before: str
    first_at: datetime
    first: str
    last_at: datetime
    last: str
    unit: str


class Boundary(BaseModel):
    """What a register stood at, at the end of a period, and how that is known."""

    metric: str
    at: datetime
    value: str
    unit: str
    quality: str


class Gap(BaseModel):
    """A time in which messages may have been lost; of all objects where none is named."""

    id: int | None
    reason: str
    starts_at: datetime
    ends_at: datetime | None
    object: str | None
    metric: str | None
    cleared_by: str | None
    why: str | None


@readings.get("/readings/held", operation_id="list_held_readings", dependencies=allowed(Permission.READ_FLEET))
def list_held(behind: Behind, object: Name = None) -> list[Held]:  # noqa: A002
    """A row for each register with readings that are held for review, and not billed."""
    with behind.database.snapshot() as session:
        found = waiting.held(session, behind.clock.now(), reference=object)
    return [Held(**exact(it.as_json())) for it in found]


@readings.get(
    "/objects/{reference}/boundaries", operation_id="list_boundaries", dependencies=allowed(Permission.READ_FLEET)
)
def list_boundaries(behind: Behind, reference: Reference) -> list[Boundary]:
    """The values of an object's registers at the ends of periods, by metric in the order of time."""
    with behind.database.snapshot() as session:
        return [Boundary(**exact(it.as_json())) for it in kept.boundaries(session, reference)]


@readings.get("/gaps", operation_id="list_gaps", dependencies=allowed(Permission.READ_FLEET))
def list_gaps(behind: Behind, *, open: bool = True, object: Name = None) -> list[Gap]:  # noqa: A002
    """Times in which messages may have been lost, the newest first; those that are open unless told otherwise."""
    which = gaps.WhichGaps(open_only=open, object_reference=object)
    with behind.database.snapshot() as session:
        return [
            Gap(
                id=it.gap.id,
                reason=it.gap.reason,
                starts_at=it.gap.starts_at,
                ends_at=it.gap.ends_at,
                object=it.object_reference or None,
                metric=it.metric or None,
                cleared_by=it.gap.cleared_by,
                why=it.gap.cleared_why or None,
            )
            for it in gaps.listed(session, which, limit=GAPS_LIMIT)
        ]
