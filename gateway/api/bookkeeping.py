"""What the bookkeeper does beside invoices: money paid before it is invoiced, and months that take no more."""

from datetime import date, datetime
from fractions import Fraction
from typing import Annotated, Any, Literal

from fastapi import Depends, Path, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from sqlmodel import Session

from billing import dating
from billing.access import Permission, Principal
from billing.advancing import record_advance
from billing.catalogue import Day, Text
from billing.commands import Number
from billing.wire import read_as
from gateway.api.months import first_day
from gateway.views.documents import advance_row
from gateway.web.bodies import Raw, accepts
from gateway.web.endpoints import allowed, router
from gateway.web.idempotent import Key, once
from gateway.web.paging import Cursor, Limit, Page, cursor_of, place_of
from gateway.web.security import needs
from gateway.web.service import Behind
from storage import advances as stored
from storage import months

MONTH = r"^[0-9]{4}-(0[1-9]|1[0-2])$"
bookkeeping = router("bookkeeping")
Month = Annotated[str, Path(pattern=MONTH, description="A calendar month, as 2022-04.")]


class AdvanceBody(BaseModel):
    """Money that a customer paid on a contract; the same reference again changes nothing."""

    model_config = ConfigDict(extra="forbid", strict=True)
    contract: Text
    amount: Number
    paid_on: Day | None = None
    reference: Text


class Advance(BaseModel):
    """What was paid before it was invoiced, what invoices took of it, and what is left for the next."""

    contract: str
    paid_on: date
    reference: str
    currency: str
    amount: str
    taken: str
    left: str


class LockedMonth(BaseModel):
    month: str
    locked_at: datetime


class MonthState(BaseModel):
    """Whether a month takes documents; `changed` is false where it was so already."""

    month: str
    state: Literal["locked", "open"]
    changed: bool


class Nothing(BaseModel):
    model_config = ConfigDict(extra="forbid")


@bookkeeping.post(
    "/advances",
    operation_id="record_advance",
    status_code=201,
    response_model=Advance,
    openapi_extra=accepts(AdvanceBody),
)
def add_advance(
    raw: Raw,
    behind: Behind,
    who: Annotated[Principal, Depends(needs(Permission.INVOICES))],
    request: Request,
    key: Key = None,
) -> JSONResponse:
    """Record what was paid on a contract before it is invoiced: its next invoices take it."""

    def work(session: Session) -> Advance:
        body = read_as(AdvanceBody, raw)
        now = behind.clock.now()
        row = record_advance(
            session,
            body.contract,
            amount=Fraction(body.amount),
            paid_on=body.paid_on or now.date(),
            reference=body.reference,
            now=now,
            origin=f"api:{who.name}",
        )
        return _advance(stored.whole(session, row.id or 0))

    return once(behind, request, who, key, raw, work, status=201)


@bookkeeping.get("/advances", operation_id="list_advances", dependencies=allowed(Permission.READ_BILLING))
def list_advances(
    behind: Behind, contract: str | None = None, cursor: Cursor = None, limit: Limit = 100
) -> Page[Advance]:
    """What was paid in advance, in the order in which it was recorded, and what is left of it."""
    (after,) = place_of(cursor, int) or (0,)
    with behind.database.snapshot() as session:
        found = stored.page(session, contract=contract, after=after, limit=limit + 1)
    return Page(
        items=[_advance(row) for row in found[:limit]],
        next_cursor=cursor_of(found[limit - 1].advance.id or 0) if len(found) > limit else None,
    )


@bookkeeping.get("/months", operation_id="list_locked_months", dependencies=allowed(Permission.READ_BILLING))
def list_months(behind: Behind) -> list[LockedMonth]:
    """The months that the bookkeeper locked: what is issued then bears the first day that is open."""
    with behind.database.snapshot() as session:
        rows = months.locked(session)
    return [LockedMonth(month=f"{row.month_starts_on:%Y-%m}", locked_at=row.locked_at) for row in rows]


Locker = Annotated[Principal, Depends(needs(Permission.CLOSE))]


@bookkeeping.post(
    "/months/{month}/lock", operation_id="lock_month", response_model=MonthState, openapi_extra=accepts(Nothing)
)
def lock_month(month: Month, raw: Raw, behind: Behind, who: Locker, request: Request, key: Key = None) -> JSONResponse:
    """Lock a month that has ended: it takes no more documents. Locking it again changes nothing."""

    def work(session: Session) -> MonthState:
        read_as(Nothing, raw)
        return MonthState(
            month=month, state="locked", changed=dating.lock_month(session, first_day(month), behind.clock.now())
        )

    return once(behind, request, who, key, raw, work)


@bookkeeping.post(
    "/months/{month}/unlock", operation_id="unlock_month", response_model=MonthState, openapi_extra=accepts(Nothing)
)
def unlock_month(
    month: Month, raw: Raw, behind: Behind, who: Locker, request: Request, key: Key = None
) -> JSONResponse:
    """Open a locked month again."""

    def work(session: Session) -> MonthState:
        read_as(Nothing, raw)
        return MonthState(month=month, state="open", changed=dating.unlock_month(session, first_day(month)))

    return once(behind, request, who, key, raw, work)


def _advance(row: Any) -> Advance:
    return Advance.model_validate(advance_row(row))
