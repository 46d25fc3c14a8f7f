"""Lists that programs page through, each in the order of a key: contracts, customers, schedules, lines, payments."""

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from sqlmodel import Session, and_, col, or_, select, text

from storage.tables import (
    OPEN_STATUSES,
    Charge,
    ConnectedObject,
    Contract,
    Customer,
    Invoice,
    InvoiceLine,
    InvoicingSchedule,
    Plan,
    PlanVersion,
    Subscription,
)


class ContractRow(NamedTuple):
    contract: Contract
    customer: str


def contracts(session: Session, *, customer: str | None = None, after: str = "", limit: int = 100) -> list[ContractRow]:
    """Contracts in the order of their names, those after `after`."""
    query = (
        select(Contract, Customer.reference)
        .join(Customer, col(Customer.id) == col(Contract.customer_id))
        .where(Contract.name > after)
        .order_by(col(Contract.name))
        .limit(limit)
    )
    if customer is not None:
        query = query.where(Customer.reference == customer)
    return [ContractRow(*row) for row in session.exec(query)]


def contract(session: Session, name: str) -> ContractRow | None:
    """The contract of a name, with the reference of its customer."""
    query = select(Contract, Customer.reference).join(Customer, col(Customer.id) == col(Contract.customer_id))
    found = session.exec(query.where(Contract.name == name)).first()
    return None if found is None else ContractRow(*found)


def subscriptions(session: Session, contract_id: int) -> list[tuple[str, str, int]]:
    """Name, plan and version of the subscriptions of a contract, in the order of their names."""
    query = (
        select(Subscription.name, Plan.name, PlanVersion.version)
        .join(PlanVersion, col(PlanVersion.id) == col(Subscription.plan_version_id))
        .join(Plan, col(Plan.id) == col(PlanVersion.plan_id))
        .where(Subscription.contract_id == contract_id)
        .order_by(col(Subscription.name))
    )
    return [(name, plan, version) for name, plan, version in session.exec(query)]


def customers(session: Session, *, after: str = "", limit: int = 100) -> Sequence[Customer]:
    """Customers in the order of their references, those after `after`."""
    query = select(Customer).where(Customer.reference > after).order_by(col(Customer.reference)).limit(limit)
    return session.exec(query).all()


class ScheduleRow(NamedTuple):
    """A schedule with the names of what it is of; `object` is null for a pool."""

    schedule: InvoicingSchedule
    contract: str
    subscription: str
    charge: str
    object: str | None


def _schedules() -> Any:
    return (
        select(  # type: ignore[call-overload]  # SQLModel's overloads end at four columns
            InvoicingSchedule, Contract.name, Subscription.name, Charge.name, ConnectedObject.reference
        )
        .join(Contract, col(Contract.id) == col(InvoicingSchedule.contract_id))
        .join(Subscription, col(Subscription.id) == col(InvoicingSchedule.subscription_id))
        .join(Charge, col(Charge.id) == col(InvoicingSchedule.charge_id))
        .outerjoin(ConnectedObject, col(ConnectedObject.id) == col(InvoicingSchedule.object_id))
    )


def open_schedules(
    session: Session, contract_id: int, *, after: tuple[date, int] | None = None, limit: int = 100
) -> list[ScheduleRow]:
    """The open schedules of a contract, the first due first, which is the order of their index."""
    day, identity = col(InvoicingSchedule.due_on), col(InvoicingSchedule.id)
    query = (
        _schedules()
        .where(InvoicingSchedule.contract_id == contract_id, text(f"invoicing_schedule.status IN {OPEN_STATUSES}"))
        .order_by(day, identity)
        .limit(limit)
    )
    if after is not None:
        query = query.where(day >= after[0], or_(day > after[0], identity > after[1]))
    return [ScheduleRow(*row) for row in session.exec(query)]


def schedules_of(
    session: Session, object_id: int, *, after: tuple[date, int] | None = None, limit: int = 100
) -> list[ScheduleRow]:
    """Every schedule of an object's items, in the order of their first days."""
    day, identity = col(InvoicingSchedule.starts_on), col(InvoicingSchedule.id)
    query = _schedules().where(InvoicingSchedule.object_id == object_id).order_by(day, identity).limit(limit)
    if after is not None:
        query = query.where(or_(day > after[0], and_(day == after[0], identity > after[1])))
    return [ScheduleRow(*row) for row in session.exec(query)]


def line_positions(session: Session, invoice: Invoice, *, after: int, limit: int) -> Sequence[InvoiceLine]:
    """The lines of a document in their order, those after a position."""
    query = select(InvoiceLine).where(InvoiceLine.invoice_id == invoice.id, InvoiceLine.position > after)
    return session.exec(query.order_by(col(InvoiceLine.position)).limit(limit)).all()
