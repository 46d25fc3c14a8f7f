"""Contract items, their suspensions and their invoicing schedules."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlmodel import Session, col, insert, select, update

from storage.catalogue import chunks
from storage.tables import Contract, ContractItem, InvoicingSchedule, Subscription, Suspension

CHARGED = ("invoiced", "settled")


class ItemRow(NamedTuple):
    """A contract item, with what is needed to speak of it."""

    id: int
    name: str
    object_id: int
    contract_id: int
    subscription_id: int
    status: str
    starts_on: date
    ends_on: date
    contract: str
    subscription: str
    timezone: str


def _query() -> Any:
    table: Any = ContractItem
    columns: list[Any] = [
        *(getattr(table, name) for name in ItemRow._fields[:8]),
        Contract.name,
        Subscription.name,
        Contract.timezone,
    ]
    return (
        select(*columns)
        .join(Contract, table.contract_id == Contract.id)
        .join(Subscription, table.subscription_id == Subscription.id)
        .order_by(table.object_id, table.starts_on, table.id)
    )


def of_objects(session: Session, object_ids: Collection[int]) -> list[ItemRow]:
    """Every contract item, running or not, of these objects, in the order of object and start."""
    rows: list[ItemRow] = []
    for part in chunks(object_ids):
        rows += [ItemRow(*row) for row in session.exec(_query().where(col(ContractItem.object_id).in_(part)))]
    return rows


def over(session: Session, now: datetime, limit: int) -> list[ItemRow]:
    """Running items whose term has ended by `now`, at most `limit`, the earliest end first."""
    query = _query().order_by(None).order_by(ContractItem.end_at, ContractItem.id)
    query = query.where(ContractItem.status == "running", ContractItem.end_at <= now).limit(limit)
    return [ItemRow(*row) for row in session.exec(query)]


def add_items(session: Session, rows: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """Write new items, one mapping of columns each, at most one an object; gives their ids by object id."""
    if not rows:
        return {}
    statement: Any = insert(ContractItem).returning(col(ContractItem.object_id), col(ContractItem.id))
    return {row.object_id: row.id for row in session.exec(statement, params=rows)}


def add_schedules(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write new schedules, one mapping of columns each."""
    if rows:
        session.exec(insert(InvoicingSchedule), params=rows)


def schedules(session: Session, item_id: int) -> Sequence[InvoicingSchedule]:
    """The schedules of one item, in the order of time and charge."""
    return session.exec(
        select(InvoicingSchedule)
        .where(InvoicingSchedule.contract_item_id == item_id)
        .order_by(col(InvoicingSchedule.starts_on), col(InvoicingSchedule.charge_id))
    ).all()


def suspensions(session: Session, item_ids: Collection[int]) -> dict[int, list[Suspension]]:
    """The suspensions of these items, in the order of time, by item id."""
    rows: dict[int, list[Suspension]] = {}
    for part in chunks(item_ids):
        query = select(Suspension).where(col(Suspension.contract_item_id).in_(part))
        for row in session.exec(query.order_by(col(Suspension.starts_on))):
            rows.setdefault(row.contract_item_id, []).append(row)
    return rows


def save_suspension(session: Session, suspension: Suspension) -> None:
    """Write a suspension, new or changed."""
    session.add(suspension)
    session.flush()


def mark_revalue(session: Session, item_id: int, since: date) -> None:
    """Have the next close look again at what was charged for days from `since` on."""
    session.exec(
        update(InvoicingSchedule)
        .where(
            col(InvoicingSchedule.contract_item_id) == item_id,
            col(InvoicingSchedule.status).in_(CHARGED),
            col(InvoicingSchedule.ends_on) > since,
        )
        .values(revalue=1)
    )


def set_status(session: Session, item_ids: Collection[int], status: str) -> None:
    """Give the items `status`."""
    for part in chunks(item_ids):
        session.exec(update(ContractItem).where(col(ContractItem.id).in_(part)).values(status=status))


def cut(session: Session, item_id: int, ends_on: date, end_at: datetime, last_day: date) -> None:
    """End an item early at the local day `ends_on` (exclusive), whose midnight is `end_at`.

    The schedules that straddle it end there and are due on `last_day` at the latest; later ones are cancelled. What
    was charged past the new end is marked, so that the next close gives it back.
    """
    mark_revalue(session, item_id, ends_on)
    schedule = (
        update(InvoicingSchedule)
        .where(col(InvoicingSchedule.contract_item_id) == item_id)
        .execution_options(synchronize_session="fetch")
    )
    session.exec(
        schedule.where(
            col(InvoicingSchedule.starts_on) >= ends_on, col(InvoicingSchedule.status) != "cancelled"
        ).values(status="cancelled")
    )
    straddling = schedule.where(col(InvoicingSchedule.starts_on) < ends_on, col(InvoicingSchedule.ends_on) > ends_on)
    session.exec(
        straddling.where(col(InvoicingSchedule.due_on) > last_day).values(
            ends_on=ends_on, end_at=end_at, due_on=last_day
        )
    )
    session.exec(straddling.values(ends_on=ends_on, end_at=end_at))
    session.exec(
        update(ContractItem)
        .where(col(ContractItem.id) == item_id)
        .values(status="terminated", ends_on=ends_on, end_at=end_at)
    )
