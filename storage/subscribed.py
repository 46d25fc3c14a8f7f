"""Who took which version of a plan."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any, NamedTuple

from sqlmodel import Session, col, delete, func, select, update

from storage.catalogue import chunks
from storage.tables import Contract, ContractItem, Plan, PlannedVersion, PlanVersion, Subscription


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


def version(session: Session, version_id: int) -> PlanVersion:
    """The version with this id."""
    return session.exec(select(PlanVersion).where(PlanVersion.id == version_id)).one()


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


def plan_version(session: Session, subscription_id: int, version_id: int, starts_on: date) -> None:
    """Have a subscription take a version on a day to come."""
    session.add(PlannedVersion(subscription_id=subscription_id, plan_version_id=version_id, starts_on=starts_on))
    session.flush()


def drop_planned(session: Session, subscription_id: int, since: date) -> None:
    """Forget the versions that a subscription was to take from a day on."""
    session.exec(
        delete(PlannedVersion).where(
            col(PlannedVersion.subscription_id) == subscription_id, col(PlannedVersion.starts_on) >= since
        )
    )


def planned(session: Session, through: date) -> Sequence[PlannedVersion]:
    """The versions that subscriptions are to take by a day, the earliest first."""
    query = select(PlannedVersion).where(PlannedVersion.starts_on <= through)
    return session.exec(query.order_by(col(PlannedVersion.starts_on), col(PlannedVersion.id))).all()


def forget_planned(session: Session, done: PlannedVersion) -> None:
    """A version that was to be taken is."""
    session.delete(done)
    session.flush()


def counts(session: Session) -> list[tuple[str, int, Any, int, int, date | None]]:
    """Plan, version, when it was declared, subscriptions that take it, items on it, when more are to take it."""
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
    to_come = dict(
        session.exec(
            select(PlannedVersion.plan_version_id, func.min(PlannedVersion.starts_on)).group_by(
                col(PlannedVersion.plan_version_id)
            )
        ).all()
    )
    query = select(Plan.name, PlanVersion).join(PlanVersion, col(PlanVersion.plan_id) == col(Plan.id))
    return [
        (
            name,
            row.version,
            row.created_at,
            taken.get(row.id or 0, 0),
            running.get(row.id or 0, 0),
            to_come.get(row.id or 0),
        )
        for name, row in session.exec(query.order_by(col(Plan.name), col(PlanVersion.version)))
    ]
