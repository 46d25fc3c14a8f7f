"""Lists that a person pages through: objects and documents, a page at a time, each read from an index.

The law: a page reads about as many rows as it shows, whatever the number of objects; what comes after is asked for by
the key of the last row, never by a count of rows to leave out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, func, or_, text
from sqlmodel import Session, col, select

from storage.prefixes import begins_with
from storage.quarantine import Which
from storage.tables import (
    OPEN_STATUSES,
    ConnectedObject,
    Contract,
    Customer,
    Invoice,
    InvoicingSchedule,
    ObjectPresence,
    PlanVersion,
    Quarantine,
    Subscription,
)


class FleetRow(NamedTuple):
    """One object as the fleet shows it."""

    id: int
    reference: str
    kind: str
    status: str
    attributes: dict[str, Any]
    customer: str | None
    contract: str | None
    subscription: str | None
    last_seen_at: datetime | None
    online: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetFilter:
    """Objects with all of these in common; an empty text is no condition."""

    search: str = ""
    """The beginning of the reference."""
    status: str = ""
    contract: str = ""
    customer: str = ""
    kind: str = ""


ALL_OBJECTS = FleetFilter()


def fleet(session: Session, wanted: FleetFilter = ALL_OBJECTS, *, after: str = "", limit: int = 50) -> list[FleetRow]:
    """Objects in the order of reference, those after the reference `after`, at most `limit`."""
    table: Any = ConnectedObject
    columns: list[Any] = [
        *(getattr(table, name) for name in FleetRow._fields[:5]),
        Customer.reference,
        Contract.name,
        Subscription.name,
        ObjectPresence.last_seen_at,
        ObjectPresence.online,
    ]
    query = (
        select(*columns)
        .select_from(ConnectedObject)
        .outerjoin(Customer, table.customer_id == Customer.id)
        .outerjoin(Contract, table.contract_id == Contract.id)
        .outerjoin(Subscription, table.subscription_id == Subscription.id)
        .outerjoin(ObjectPresence, ObjectPresence.object_id == table.id)
        .where(table.reference > after)
        .order_by(table.reference)
        .limit(limit)
    )
    if wanted.search:
        query = query.where(begins_with(session, table.reference, wanted.search))
    for column, value in ((table.status, wanted.status), (table.kind, wanted.kind)):
        if value:
            query = query.where(column == value)
    if wanted.contract:
        query = query.where(table.contract_id == _id_of(Contract.id, Contract.name, wanted.contract))
    if wanted.customer:
        query = query.where(table.customer_id == _id_of(Customer.id, Customer.reference, wanted.customer))
    return [FleetRow(*row) for row in session.exec(query)]


def _id_of(identity: Any, name: Any, value: str) -> Any:
    return select(identity).where(name == value).scalar_subquery()


class DocumentRow(NamedTuple):
    """One invoice or credit note as the list shows it."""

    id: int
    number: str | None
    draft_name: str | None
    kind: str
    purpose: str
    status: str
    contract: str
    customer: str
    customer_id: int
    month_starts_on: date
    issued_on: date
    due_on: date
    currency: str
    minor_digits: int
    net_minor: int
    gross_minor: int

    @property
    def name(self) -> str:
        """Its number, or what it is called while it waits for approval."""
        return self.number or self.draft_name or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentFilter:
    """Invoices and credit notes with all of these in common; an empty text is no condition."""

    search: str = ""
    """The beginning of the number."""
    status: str = ""
    kind: str = ""
    contract: str = ""
    customer: str = ""
    month: date | None = None


ALL_DOCUMENTS = DocumentFilter()


def documents(
    session: Session,
    wanted: DocumentFilter = ALL_DOCUMENTS,
    *,
    before: tuple[date, int] | None = None,
    limit: int = 50,
) -> list[DocumentRow]:
    """Invoices and credit notes, the newest first, those before `(month, id)`, at most `limit`."""
    table: Any = Invoice
    columns: list[Any] = [
        *(getattr(table, name) for name in ("id", "number", "draft_name", "kind", "purpose", "status")),
        Contract.name,
        Customer.reference,
        *(getattr(table, name) for name in DocumentRow._fields[8:]),
    ]
    query = (
        select(*columns)
        .select_from(Invoice)
        .join(Contract, table.contract_id == Contract.id)
        .join(Customer, table.customer_id == Customer.id)
        .order_by(table.month_starts_on.desc(), table.id.desc())
        .limit(limit)
    )
    if before is not None:
        month, identity = before
        query = query.where(
            or_(table.month_starts_on < month, and_(table.month_starts_on == month, table.id < identity))
        )
    if wanted.search:
        query = query.where(begins_with(session, table.number, wanted.search))
    for column, value in ((table.status, wanted.status), (table.kind, wanted.kind)):
        if value:
            query = query.where(column == value)
    if wanted.contract:
        query = query.where(table.contract_id == _id_of(Contract.id, Contract.name, wanted.contract))
    if wanted.customer:
        query = query.where(table.customer_id == _id_of(Customer.id, Customer.reference, wanted.customer))
    if wanted.month is not None:
        query = query.where(table.month_starts_on == wanted.month)
    return [DocumentRow(*row) for row in session.exec(query)]


def contract_names(session: Session, *, limit: int) -> Sequence[str]:
    """The names of contracts, in their order, at most `limit`."""
    return session.exec(select(Contract.name).order_by(col(Contract.name)).limit(limit)).all()


def customer_references(session: Session, *, limit: int) -> Sequence[str]:
    """The references of customers, in their order, at most `limit`."""
    return session.exec(select(Customer.reference).order_by(col(Customer.reference)).limit(limit)).all()


def subscription_names(session: Session, contract: str) -> Sequence[str]:
    """The names of a contract's subscriptions, in their order."""
    query = (
        select(Subscription.name)
        .join(Contract, col(Contract.id) == col(Subscription.contract_id))
        .where(Contract.name == contract)
        .order_by(col(Subscription.name))
    )
    return session.exec(query).all()


class ReadyRow(NamedTuple):
    """An object that may be activated."""

    reference: str
    kind: str
    status: str
    contract: str | None


def ready(session: Session, search: str, *, limit: int) -> list[ReadyRow]:
    """Drafts and pending objects whose reference begins with a text, at most `limit`."""
    table: Any = ConnectedObject
    query = (
        select(table.reference, table.kind, table.status, Contract.name)
        .outerjoin(Contract, table.contract_id == Contract.id)
        .where(table.status.in_(("draft", "pending")), begins_with(session, table.reference, search))
        .order_by(table.reference)
        .limit(limit)
    )
    return [ReadyRow(*row) for row in session.exec(query)]


class ContractRow(NamedTuple):
    """A contract as a list shows it; `oldest_due` is the day of its first open schedule."""

    name: str
    customer: str
    currency: str
    starts_on: date
    oldest_due: date | None


def contracts_of(
    session: Session, customer: str = "", *, search: str = "", after: str = "", limit: int
) -> list[ContractRow]:
    """Contracts in the order of their names, of one customer when it is named, at most `limit`."""
    table: Any = Contract
    query = _contracts().where(table.name > after).order_by(table.name).limit(limit)
    if customer:
        query = query.where(Customer.reference == customer)
    if search:
        query = query.where(begins_with(session, table.name, search))
    return [ContractRow(*row) for row in session.exec(query)]


def due_contracts(session: Session, *, limit: int) -> list[ContractRow]:
    """Contracts with schedules that are open, the one that is due first before the others, at most `limit`."""
    query = _contracts().where(_oldest_due().is_not(None)).order_by(_oldest_due(), col(Contract.name)).limit(limit)
    return [ContractRow(*row) for row in session.exec(query)]


def _contracts() -> Any:
    table: Any = Contract
    columns = (table.name, Customer.reference, table.currency, table.starts_on, _oldest_due())
    return select(*columns).join(Customer, table.customer_id == Customer.id)  # type: ignore[call-overload]  # SQLModel's overloads end at four columns


def _oldest_due() -> Any:
    """The day of a contract's first open schedule: one look into an index."""
    return (
        select(func.min(InvoicingSchedule.due_on))
        .where(
            col(InvoicingSchedule.contract_id) == col(Contract.id),
            text(f"invoicing_schedule.status IN {OPEN_STATUSES}"),
        )
        .correlate(Contract)
        .scalar_subquery()
    )


class RefusedRow(NamedTuple):
    """A refused message as the list shows it, without its payload."""

    id: int
    received_at: datetime
    reason: str
    detail: str
    topic: str
    object_reference: str | None
    source: str | None
    status: str


def refused(session: Session, *, status: str, which: Which, before: int | None = None, limit: int) -> list[RefusedRow]:
    """Refused messages, the newest first, those with a smaller id than `before`, at most `limit`."""
    table: Any = Quarantine
    columns = [getattr(table, name) for name in RefusedRow._fields]
    query = select(*columns).where(table.status == status).order_by(table.id.desc()).limit(limit)
    if before is not None:
        query = query.where(table.id < before)
    for column, value in (
        (table.reason, which.reason),
        (table.object_reference, which.object_reference),
        (table.source, which.source),
    ):
        if value is not None:
            query = query.where(column == value)
    return [RefusedRow(*row) for row in session.exec(query)]


def plan_version(session: Session, plan_id: int, number: int) -> PlanVersion | None:
    """A version of a plan."""
    return session.exec(
        select(PlanVersion).where(PlanVersion.plan_id == plan_id, PlanVersion.version == number)
    ).first()
