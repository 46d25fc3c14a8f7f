"""Who took which version of a plan."""

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlmodel import Session, col, func, select, update

from storage.catalogue import chunks
from storage.tables import Contract, ContractItem, Plan, PlanVersion, Subscription


class Subscribed(NamedTuple):
    """A subscription with its contract."""

    id: int
    name: str
    contract_id: int
    contract: str
    timezone: str
    plan_version_id: int


def versions(session: Session, plan: str) -> list[PlanVersion]:
    """The versions of a plan in their order; none when it is not declared."""
    query = select(PlanVersion).join(Plan, col(Plan.id) == col(PlanVersion.plan_id)).where(Plan.name == plan)
    return list(session.exec(query.order_by(col(PlanVersion.version))))


def plan_of(session: Session, version_id: int) -> str:
    """The name of the plan that a version is of."""
    query = select(Plan.name).join(PlanVersion, col(Plan.id) == col(PlanVersion.plan_id))
    return session.exec(query.where(PlanVersion.id == version_id)).one()


def number_of(session: Session, version_id: int) -> int:
    """The number of a version."""
    return session.exec(select(PlanVersion.version).where(PlanVersion.id == version_id)).one()


def _query() -> Any:
    table: Any = Subscription
    return (
        select(  # type: ignore[call-overload]  # SQLModel's overloads end at four columns
            table.id, table.name, table.contract_id, Contract.name, Contract.timezone, table.plan_version_id
        )
        .join(Contract, col(Contract.id) == table.contract_id)
        .order_by(Contract.name, table.name)
    )


def to_plan(session: Session, plan: str, contracts: Collection[str] | None) -> list[Subscribed]:
    """The subscriptions to a plan, of some contracts or of all, in the order of the contract's name."""
    query = (
        _query()
        .join(PlanVersion, col(PlanVersion.id) == col(Subscription.plan_version_id))
        .join(Plan, col(Plan.id) == col(PlanVersion.plan_id))
        .where(Plan.name == plan)
    )
    if contracts is not None:
        query = query.where(col(Contract.name).in_(list(contracts)))
    return [Subscribed(*row) for row in session.exec(query)]


def by_id(session: Session, ids: Collection[int]) -> list[Subscribed]:
    """The subscriptions with these ids."""
    return [
        Subscribed(*row) for part in chunks(ids) for row in session.exec(_query().where(col(Subscription.id).in_(part)))
    ]


def take_version(session: Session, ids: Collection[int], version_id: int) -> None:
    """Have the objects that are activated from now on take a version."""
    for part in chunks(ids):
        session.exec(update(Subscription).where(col(Subscription.id).in_(part)).values(plan_version_id=version_id))


def counts(session: Session) -> list[tuple[str, int, Any, int, int]]:
    """Plan, version, when it was declared, subscriptions that take it, and items that run on it."""
    taken = dict(
        session.exec(
            select(Subscription.plan_version_id, func.count()).group_by(col(Subscription.plan_version_id))
        ).all()
    )
    running = dict(
        session.exec(
            select(ContractItem.plan_version_id, func.count())
            .where(ContractItem.status == "running")
            .group_by(col(ContractItem.plan_version_id))
        ).all()
    )
    query = select(Plan.name, PlanVersion).join(PlanVersion, col(PlanVersion.plan_id) == col(Plan.id))
    return [
        (name, row.version, row.created_at, taken.get(row.id or 0, 0), running.get(row.id or 0, 0))
        for name, row in session.exec(query.order_by(col(Plan.name), col(PlanVersion.version)))
    ]
