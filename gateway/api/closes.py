"""The close: a dry run that is answered at once, and a run that is started here and looked at later."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import Depends, Path, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from sqlmodel import Session

from billing import close as closing
from billing.access import Permission, Principal
from billing.catalogue import Day
from billing.core.errors import Invalid, NotFound
from billing.wire import read_as
from gateway.views.documents import close_json
from gateway.views.exact import plain
from gateway.web.bodies import Raw, accepts
from gateway.web.close_runs import begin, start
from gateway.web.endpoints import allowed, router
from gateway.web.idempotent import Key, once
from gateway.web.paging import Cursor, Limit, Page, cursor_of, place_of
from gateway.web.security import needs
from gateway.web.service import Behind
from storage import close_runs as stored
from storage.tables import CloseRun

LATEST = date(9000, 1, 1)
"""Further than the calendar is kept."""
closes = router("close")
Closer = Annotated[Principal, Depends(needs(Permission.CLOSE))]


class CloseBody(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    until: Day
    """The months that have ended by this day, included."""


class Report(BaseModel):
    """What a close issued, or would issue; amounts as text."""

    until: date
    dry_run: bool
    invoices: list[dict[str, Any]]
    drafts: list[dict[str, Any]]
    unbilled: list[dict[str, Any]]
    unpriced: list[dict[str, Any]]
    incomplete: list[dict[str, Any]]
    held: list[dict[str, Any]]
    failures: list[dict[str, Any]]


class Run(BaseModel):
    """A close that was started: `lost` when its process ended; what it issued stays, and another one does the rest."""

    id: int
    until: date
    asked_by: str
    status: Literal["running", "done", "failed", "lost"]
    started_at: datetime
    finished_at: datetime | None
    months_closed: int
    months_due: int
    """Months of contracts that were open when it began: all that it can close."""
    message: str
    report: Report | None


@closes.post("/close/dry-run", operation_id="dry_run_close", openapi_extra=accepts(CloseBody))
def dry_run(raw: Raw, behind: Behind, _who: Closer) -> Report:
    """The invoices that a close would issue; nothing is written."""
    report = closing.close(behind.database, _until(raw), behind.clock.now(), dry_run=True)
    return Report.model_validate(plain(close_json(report)))


@closes.post(
    "/close",
    operation_id="start_close",
    status_code=202,
    response_model=Run,
    openapi_extra=accepts(CloseBody),
)
def start_close(raw: Raw, behind: Behind, who: Closer, request: Request, key: Key = None) -> JSONResponse:
    """Start a close of the months that have ended by a day; one runs at a time. Look at it under its id."""
    begun: list[tuple[int, date, datetime]] = []

    def work(session: Session) -> Run:
        until, now = _until(raw), behind.clock.now()
        run = begin(session, until, who.name, now)
        begun.append((run.id or 0, until, now))
        return _run(session, run, now)

    answer = once(behind, request, who, key, raw, work, status=202)
    for identity, until, now in begun:
        start(behind, identity, until, now)
    return answer


@closes.get("/close", operation_id="list_closes", dependencies=allowed(Permission.READ_BILLING))
def list_closes(behind: Behind, cursor: Cursor = None, limit: Limit = 100) -> Page[Run]:
    """The closes that were started here, the newest first."""
    (before,) = place_of(cursor, int) or (None,)
    now = behind.clock.now()
    with behind.database.snapshot() as session:
        found = stored.newest(session, before=before, limit=limit + 1)
        shown = [_run(session, run, now) for run in found[:limit]]
    return Page(items=shown, next_cursor=cursor_of(found[limit - 1].id or 0) if len(found) > limit else None)


@closes.get("/close/{identity:int}", operation_id="show_close", dependencies=allowed(Permission.READ_BILLING))
def show_close(identity: Annotated[int, Path(ge=1, le=2**31 - 1)], behind: Behind) -> Run:
    """How far a close is, and its report when it is done."""
    with behind.database.snapshot() as session:
        run = stored.find(session, identity)
        if run is None:
            raise NotFound(f"no close has the id {identity}")
        return _run(session, run, behind.clock.now())


def _until(raw: Any) -> date:
    until = read_as(CloseBody, raw).until
    if until >= LATEST:
        raise Invalid(f"{until} is further than the calendar is kept")
    return until


def _run(session: Session, run: CloseRun, now: datetime) -> Run:
    return Run(
        id=run.id or 0,
        until=run.until,
        asked_by=run.asked_by,
        status=stored.status_of(run, now),
        started_at=run.started_at,
        finished_at=run.finished_at,
        months_closed=stored.months_closed(session, run),
        months_due=run.months_due,
        message=run.message,
        report=None if run.report is None else Report.model_validate(run.report),
    )
