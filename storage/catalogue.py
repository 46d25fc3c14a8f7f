"""What was declared: seller, metrics, customers, plans with their versions, contracts, subscriptions."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import text
from sqlmodel import Session, col, func, select, update

from storage.bulk import is_sqlite
from storage.tables import (
    Charge,
    ConnectedObject,
    Contract,
    ContractItem,
    Customer,
    Metric,
    Plan,
    PlanVersion,
    Seller,
    Subscription,
    UsageRollup,
)

T = TypeVar("T", int, str)

CHUNK = 1000
"""Values in one IN list: far below the parameter limits of both databases."""


def seller(session: Session) -> Seller | None:
    """Who issues the invoices, once declared."""
    return session.get(Seller, 1)


def metrics(session: Session) -> dict[str, Metric]:
    """Every metric by its name."""
    return {row.name: row for row in session.exec(select(Metric).order_by(Metric.name))}


def customers(session: Session, references: Collection[str]) -> dict[str, Customer]:
    """The customers with these references, by reference."""
    rows: dict[str, Customer] = {}
    for part in chunks(references):
        rows |= {row.reference: row for row in session.exec(select(Customer).where(col(Customer.reference).in_(part)))}
    return rows


def customers_by_id(session: Session, ids: Collection[int]) -> dict[int, Customer]:
    """The customers with these ids, by id."""
    rows: dict[int, Customer] = {}
    for part in chunks(ids):
        rows |= {key(row.id): row for row in session.exec(select(Customer).where(col(Customer.id).in_(part)))}
    return rows


def contracts(session: Session, names: Collection[str]) -> dict[str, Contract]:
    """The contracts with these names, by name."""
    rows: dict[str, Contract] = {}
    for part in chunks(names):
        rows |= {row.name: row for row in session.exec(select(Contract).where(col(Contract.name).in_(part)))}
    return rows


def contracts_by_id(session: Session, ids: Collection[int]) -> dict[int, Contract]:
    """The contracts with these ids, by id."""
    rows: dict[int, Contract] = {}
    for part in chunks(ids):
        rows |= {key(row.id): row for row in session.exec(select(Contract).where(col(Contract.id).in_(part)))}
    return rows


def subscriptions(session: Session, contract_ids: Collection[int]) -> dict[tuple[int, str], Subscription]:
    """The subscriptions of these contracts, by (contract id, name)."""
    rows: dict[tuple[int, str], Subscription] = {}
    for part in chunks(contract_ids):
        query = select(Subscription).where(col(Subscription.contract_id).in_(part))
        rows |= {(row.contract_id, row.name): row for row in session.exec(query)}
    return rows


def plans(session: Session) -> dict[str, Plan]:
    """Every plan by its name."""
    return {row.name: row for row in session.exec(select(Plan).order_by(Plan.name))}


def latest_version(session: Session, plan_id: int) -> PlanVersion | None:
    """The version that new subscriptions to the plan take."""
    return session.exec(
        select(PlanVersion).where(PlanVersion.plan_id == plan_id).order_by(col(PlanVersion.version).desc()).limit(1)
    ).first()


def add_version(
    session: Session,
    *,
    plan_id: int,
    charges: Sequence[Mapping[str, Any]],
    metric_ids: Mapping[str, int],
    now: datetime,
) -> PlanVersion:
    """Write the plan's next version with its charges, in their order."""
    last = session.exec(select(func.max(PlanVersion.version)).where(PlanVersion.plan_id == plan_id)).one()
    version = PlanVersion(
        plan_id=plan_id,
        version=(last or 0) + 1,
        definition={"charges": [dict(charge) for charge in charges]},
        created_at=now,
    )
    add(session, version)
    for position, charge in enumerate(charges):
        metric = charge.get("calculator", {}).get("metric")
        session.add(
            Charge(
                plan_version_id=key(version.id),
                position=position,
                name=charge["name"],
                type=charge["type"],
                metric_id=None if metric is None else metric_ids[metric],
                definition=dict(charge),
                scope=charge.get("scope", "item"),
            )
        )
    session.flush()
    return version


def plan_commands(session: Session, version_ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """By plan version, what its plan has objects told; plans that say nothing are left out."""
    found: dict[int, dict[str, Any]] = {}
    for part in chunks(version_ids):
        query = select(PlanVersion.id, Plan.commands).join(Plan, col(Plan.id) == PlanVersion.plan_id)
        rows = session.exec(query.where(col(PlanVersion.id).in_(part), col(Plan.commands).is_not(None)))
        found |= {key(identity): dict(said) for identity, said in rows if said is not None}
    return found


def charges(session: Session, version_ids: Collection[int]) -> dict[int, list[Charge]]:
    """The charges of these plan versions, in their order, by version id."""
    rows: dict[int, list[Charge]] = {}
    for part in chunks(version_ids):
        query = select(Charge).where(col(Charge.plan_version_id).in_(part)).order_by(col(Charge.position))
        for row in session.exec(query):
            rows.setdefault(row.plan_version_id, []).append(row)
    return rows


def metric_has_usage(session: Session, metric_id: int) -> bool:
    """Whether anything was ever measured with this metric; nothing more is until the transaction ends."""
    query = select(UsageRollup.metric_id).where(UsageRollup.metric_id == metric_id).limit(1)
    if session.exec(query).first() is None and not is_sqlite(connection := session.connection()):
        # Whoever writes usage locks this table first, and sees only after that by which metrics.
        connection.exec_driver_sql("LOCK TABLE ingest_counter IN SHARE MODE")
    return session.exec(query).first() is not None


def contract_has_items(session: Session, contract_id: int) -> bool:
    """Whether an object was ever activated in, or assigned to, this contract."""
    items = select(ContractItem.id).where(ContractItem.contract_id == contract_id).limit(1)
    objects = select(ConnectedObject.id).where(ConnectedObject.contract_id == contract_id).limit(1)
    return session.exec(items).first() is not None or session.exec(objects).first() is not None


def raise_revisions(session: Session, contract_ids: Collection[int]) -> None:
    """Tell every close that planned these contracts to plan again; in order of id, so that writers never deadlock."""
    for contract_id in sorted(set(contract_ids)):
        session.exec(update(Contract).where(col(Contract.id) == contract_id).values(revision=Contract.revision + 1))


def add(session: Session, row: Any) -> None:
    """Write one declared row, new or changed, and learn its id."""
    session.add(row)
    session.flush()


def key(row_id: int | None) -> int:
    """The id of a row that was written."""
    if row_id is None:  # pragma: no cover - a programmer's error
        raise AssertionError("the row was not written yet, so it has no id")
    return row_id


def take_turns(session: Session, work: str) -> None:
    """Wait until no other transaction does this `work`: what is then read stays true until the commit.

    SQLite has one writer at a time anyway; PostgreSQL takes an advisory lock that ends with the transaction.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.connection().execute(text("SELECT pg_advisory_xact_lock(hashtext(:work))"), {"work": work})


def chunks(values: Collection[T]) -> Iterator[list[T]]:
    """The values in sorted parts of at most CHUNK, each for one IN list."""
    ordered = sorted(set(values))
    for start in range(0, len(ordered), CHUNK):
        yield ordered[start : start + CHUNK]
