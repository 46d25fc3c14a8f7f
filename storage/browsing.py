"""Lists that a person pages through: objects and documents, a page at a time, each read from an index.

The law: a page reads about as many rows as it shows, whatever the number of objects; what comes after is asked for by
the key of the last row, never by a count of rows to leave out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, or_
from sqlmodel import Session, col, select

from storage.tables import (
    ConnectedObject,
    Contract,
    Customer,
    Invoice,
    ObjectPresence,
    Subscription,
)

END_OF_PREFIX = "\U0010ffff"
"""Behind every text that begins with a prefix."""


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
        query = query.where(table.reference >= wanted.search, table.reference < wanted.search + END_OF_PREFIX)
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
        query = query.where(table.number >= wanted.search, table.number < wanted.search + END_OF_PREFIX)
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
