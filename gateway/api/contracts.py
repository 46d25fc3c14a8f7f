"""Contracts, customers and invoicing schedules, as they are declared and stand."""

from datetime import date, timedelta
from typing import Any, Literal

from pydantic import BaseModel

from billing.access import Permission
from billing.core.errors import Invalid, NotFound
from billing.core.money import exact_text
from gateway.web.endpoints import allowed, router
from gateway.web.paging import Cursor, Limit, Page, cursor_of, place_of
from gateway.web.service import Behind
from storage import listing, registry
from storage.listing import ContractRow, ScheduleRow

DAY = timedelta(days=1)
contracts = router("contracts")


class Contract(BaseModel):
    name: str
    customer: str
    currency: str
    timezone: str
    starts_on: date
    grouping: list[str]
    payment_terms_days: int
    approval: str
    dating: str
    invoicing: str
    renewal: str
    notice_days: int


class Subscription(BaseModel):
    """A plan taken inside the contract, and the version that new objects take."""

    name: str
    plan: str
    version: int


class WholeContract(Contract):
    subscriptions: list[Subscription]


class Customer(BaseModel):
    reference: str
    currency: str | None
    timezone: str | None
    party: dict[str, Any]


class Schedule(BaseModel):
    """One charge over one period; `ends_on` is its last day; a pool has no object."""

    contract: str
    subscription: str
    charge: str
    object: str | None
    starts_on: date
    ends_on: date
    due_on: date
    status: Literal["planned", "valued", "invoiced", "settled", "cancelled"]
    quantity: str
    amount: str


@contracts.get("/contracts", operation_id="list_contracts", dependencies=allowed(Permission.READ_BILLING))
def list_contracts(
    behind: Behind, customer: str | None = None, cursor: Cursor = None, limit: Limit = 100
) -> Page[Contract]:
    """Contracts in the order of their names."""
    (after,) = place_of(cursor, str) or ("",)
    with behind.database.snapshot() as session:
        found = listing.contracts(session, customer=customer, after=after, limit=limit + 1)
    return Page(
        items=[Contract(**_contract(row)) for row in found[:limit]],
        next_cursor=cursor_of(found[limit - 1].contract.name) if len(found) > limit else None,
    )


@contracts.get(
    "/contracts/{contract:path}", operation_id="show_contract", dependencies=allowed(Permission.READ_BILLING)
)
def show_contract(contract: str, behind: Behind) -> WholeContract:
    """One contract with its subscriptions. The catalogue declares it."""
    with behind.database.snapshot() as session:
        row = listing.contract(session, contract)
        if row is None:
            raise NotFound(f"no contract is called {contract!r}")
        taken = listing.subscriptions(session, row.contract.id or 0)
    return WholeContract(
        **_contract(row),
        subscriptions=[Subscription(name=name, plan=plan, version=version) for name, plan, version in taken],
    )


@contracts.get("/customers", operation_id="list_customers", dependencies=allowed(Permission.READ_BILLING))
def list_customers(behind: Behind, cursor: Cursor = None, limit: Limit = 100) -> Page[Customer]:
    """Customers in the order of their references."""
    (after,) = place_of(cursor, str) or ("",)
    with behind.database.snapshot() as session:
        found = listing.customers(session, after=after, limit=limit + 1)
    return Page(
        items=[Customer(**row.model_dump()) for row in found[:limit]],
        next_cursor=cursor_of(found[limit - 1].reference) if len(found) > limit else None,
    )


@contracts.get("/schedules", operation_id="list_schedules", dependencies=allowed(Permission.READ_BILLING))
def list_schedules(
    behind: Behind,
    contract: str | None = None,
    object: str | None = None,  # noqa: A002 - the word of every other list
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[Schedule]:
    """Of a contract what is open, by the day on which it is due; of an object every schedule, by its first day."""
    if (contract is None) == (object is None):
        raise Invalid("say whose schedules: either contract or object")
    place = place_of(cursor, str, int)
    with behind.database.snapshot() as session:
        if contract is not None:
            row = listing.contract(session, contract)
            if row is None:
                raise NotFound(f"no contract is called {contract!r}")
            found = listing.open_schedules(session, row.contract.id or 0, after=_day_of(place), limit=limit + 1)
        else:
            known = registry.find(session, [object or ""]).get(object or "")
            if known is None:
                raise NotFound(f"no object is called {object!r}")
            found = listing.schedules_of(session, known.id, after=_day_of(place), limit=limit + 1)
    last = found[limit - 1].schedule if len(found) > limit else None
    next_day = None if last is None else last.due_on if contract is not None else last.starts_on
    return Page(
        items=[_schedule(row) for row in found[:limit]],
        next_cursor=None if last is None or next_day is None else cursor_of(next_day.isoformat(), last.id or 0),
    )


def _day_of(place: tuple[str, int] | None) -> tuple[date, int] | None:
    if place is None:
        return None
    try:
        return date.fromisoformat(place[0]), place[1]
    except ValueError:
        raise Invalid("the cursor is none of ours; take `next_cursor` of the page before", code="cursor") from None


def _contract(row: ContractRow) -> dict[str, Any]:
    return row.contract.model_dump(include=set(Contract.model_fields)) | {"customer": row.customer}


def _schedule(row: ScheduleRow) -> Schedule:
    return Schedule(
        contract=row.contract,
        subscription=row.subscription,
        charge=row.charge,
        object=row.object,
        starts_on=row.schedule.starts_on,
        ends_on=row.schedule.ends_on - DAY,
        due_on=row.schedule.due_on,
        status=row.schedule.status,
        quantity=exact_text(row.schedule.quantity),
        amount=exact_text(row.schedule.amount),
    )
