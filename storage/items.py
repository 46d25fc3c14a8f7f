"""Contract items, their suspensions and their invoicing schedules."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, delete
from sqlmodel import Session, col, insert, select, update

from storage.catalogue import chunks
from storage.tables import Charge, Contract, ContractItem, InvoicingSchedule, LineShare, Subscription, Suspension

CHARGED = ("invoiced", "settled")


class ItemRow(NamedTuple):
    """A contract item, with what is needed to speak of it."""

    id: int
    name: str
    object_id: int
    contract_id: int
    subscription_id: int
    plan_version_id: int
    status: str
    term_months: int
    starts_on: date
    ends_on: date
    start_at: datetime
    end_at: datetime
    follows_id: int | None
    term_starts_on: date | None
    fees_until: date | None
    renewal: str
    notice_days: int
    notice_on: date | None
    contract: str
    subscription: str
    timezone: str
    currency: str


OWN_COLUMNS = ItemRow._fields[:-4]


def _query() -> Any:
    table: Any = ContractItem
    columns: list[Any] = [
        *(getattr(table, name) for name in OWN_COLUMNS),
        Contract.name,
        Subscription.name,
        Contract.timezone,
        Contract.currency,
    ]
    return (
        select(*columns)
        .join(Contract, table.contract_id == Contract.id)
        .join(Subscription, table.subscription_id == Subscription.id)
        .order_by(table.object_id, table.starts_on, table.id)
    )


def of_objects(session: Session, object_ids: Collection[int]) -> list[ItemRow]:
    """Every contract item of these objects but the cancelled ones, in the order of object and start."""
    rows: list[ItemRow] = []
    for part in chunks(object_ids):
        query = _query().where(col(ContractItem.object_id).in_(part), ContractItem.status != "cancelled")
        rows += [ItemRow(*row) for row in session.exec(query)]
    return rows


def objects_on(session: Session, subscription_id: int, since: date) -> list[int]:
    """The objects whose service on a subscription runs on some day from `since` on, by id."""
    query = (
        select(ContractItem.object_id)
        .where(
            ContractItem.subscription_id == subscription_id,
            ContractItem.status == "running",
            col(ContractItem.ends_on) > since,
        )
        .distinct()
        .order_by(col(ContractItem.object_id))
    )
    return list(session.exec(query))


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


def of_items(item_ids: Sequence[int]) -> Any:
    """The condition that a schedule is of these items; their objects are named because the index begins with them."""
    objects = select(ContractItem.object_id).where(col(ContractItem.id).in_(item_ids))
    return and_(col(InvoicingSchedule.object_id).in_(objects), col(InvoicingSchedule.contract_item_id).in_(item_ids))


def schedules(session: Session, item_id: int) -> Sequence[InvoicingSchedule]:
    """The schedules of one item, in the order of time and charge."""
    return session.exec(
        select(InvoicingSchedule)
        .where(of_items([item_id]))
        .order_by(col(InvoicingSchedule.starts_on), col(InvoicingSchedule.charge_id))
    ).all()


def cut_at(session: Session, item_id: int, ends_on: date) -> Sequence[InvoicingSchedule]:
    """The schedules of one item whose periods its end cut on a local day."""
    return session.exec(
        select(InvoicingSchedule).where(
            of_items([item_id]),
            InvoicingSchedule.ends_on == ends_on,
            col(InvoicingSchedule.nominal_ends_on) > ends_on,
            InvoicingSchedule.status != "cancelled",
        )
    ).all()


def suspensions(session: Session, item_ids: Collection[int]) -> dict[int, list[Suspension]]:
    """The suspensions of these items, in the order of time, by item id."""
    rows: dict[int, list[Suspension]] = {}
    for part in chunks(item_ids):
        query = select(Suspension).where(col(Suspension.contract_item_id).in_(part))
        for row in session.exec(query.order_by(col(Suspension.starts_on))):
            rows.setdefault(row.contract_item_id, []).append(row)
    return rows


def replace_suspensions(session: Session, spans: Mapping[int, Sequence[tuple[date, date | None]]]) -> None:
    """Give each of these items, by id, the suspended days in `spans` instead of those it had."""
    for part in chunks(spans):
        session.exec(delete(Suspension).where(col(Suspension.contract_item_id).in_(part)))
    rows = [
        {"contract_item_id": item_id, "starts_on": start, "ends_on": end}
        for item_id, each in spans.items()
        for start, end in each
    ]
    if rows:
        session.exec(insert(Suspension), params=rows)


def mark_revalue(session: Session, item_ids: Collection[int], since: date) -> None:
    """Have the next close look again at what was charged for days from `since` on."""
    for part in chunks(item_ids):
        session.exec(
            update(InvoicingSchedule)
            .where(
                of_items(part),
                col(InvoicingSchedule.status).in_(CHARGED),
                col(InvoicingSchedule.ends_on) > since,
            )
            .values(revalue=1)
        )


def set_status(session: Session, item_ids: Collection[int], status: str) -> None:
    """Give the items `status`."""
    for part in chunks(item_ids):
        session.exec(update(ContractItem).where(col(ContractItem.id).in_(part)).values(status=status))


def set_notice(session: Session, item_ids: Collection[int], notice_on: date | None) -> None:
    """Remember the day on which notice was given for the items."""
    for part in chunks(item_ids):
        session.exec(update(ContractItem).where(col(ContractItem.id).in_(part)).values(notice_on=notice_on))


def extend(session: Session, item_id: int, ends_on: date, end_at: datetime) -> None:
    """Move the end of an item's term; its further schedules are added apart."""
    session.exec(update(ContractItem).where(col(ContractItem.id) == item_id).values(ends_on=ends_on, end_at=end_at))


def _charged() -> Any:
    """Schedules of which anything was charged: after their period, or in the middle of it."""
    shared = select(LineShare.schedule_id).where(col(LineShare.schedule_id) == col(InvoicingSchedule.id)).exists()
    return col(InvoicingSchedule.status).in_(CHARGED) | shared


def cancel(session: Session, item_ids: Collection[int]) -> None:
    """Take items back whole: all their schedules are cancelled, and what was charged is given back."""
    for part in chunks(item_ids):
        schedules_of_part = of_items(part)
        session.exec(
            update(InvoicingSchedule)
            .where(schedules_of_part, _charged())
            .values(revalue=1)
            .execution_options(synchronize_session="fetch")
        )
        session.exec(
            update(InvoicingSchedule)
            .where(schedules_of_part, col(InvoicingSchedule.status) != "cancelled")
            .values(status="cancelled")
            .execution_options(synchronize_session="fetch")
        )
        session.exec(update(ContractItem).where(col(ContractItem.id).in_(part)).values(status="cancelled"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Where items end early: at the local day `ends_on` (exclusive), whose midnight is `end_at`."""

    ends_on: date
    end_at: datetime
    last_day: date
    """What is still to be charged is due on this day at the latest."""
    status: str
    """What the items are from then on: `terminated`, or `replaced` by another."""
    keep_fees: bool = False
    """Recurring fees are owed to the end of the term all the same, and due with the rest."""


def cut(session: Session, item_ids: Collection[int], where: Cut) -> None:
    """End items early.

    The schedules that straddle the new end finish there; later ones are cancelled. What was charged past it is
    marked, so that the next close gives it back. A cut period keeps its nominal period.
    """
    for part in chunks(item_ids):
        _cut(session, part, where)


def _cut(session: Session, item_ids: Sequence[int], where: Cut) -> None:
    schedule = (
        update(InvoicingSchedule)
        .where(of_items(item_ids), col(InvoicingSchedule.status) != "cancelled")
        .execution_options(synchronize_session="fetch")
    )
    values: dict[str, Any] = {"status": where.status, "ends_on": where.ends_on, "end_at": where.end_at}
    if where.keep_fees:
        fees = select(Charge.id).where(Charge.type == "recurring")
        session.exec(
            schedule.where(
                col(InvoicingSchedule.charge_id).in_(fees), col(InvoicingSchedule.due_on) > where.last_day
            ).values(due_on=where.last_day)
        )
        schedule = schedule.where(col(InvoicingSchedule.charge_id).not_in(fees))
        values["fees_until"] = col(ContractItem.ends_on)
    session.exec(schedule.where(_charged(), col(InvoicingSchedule.ends_on) > where.ends_on).values(revalue=1))
    session.exec(schedule.where(col(InvoicingSchedule.starts_on) >= where.ends_on).values(status="cancelled"))
    straddling = schedule.where(col(InvoicingSchedule.ends_on) > where.ends_on)
    session.exec(straddling.where(col(InvoicingSchedule.due_on) > where.last_day).values(due_on=where.last_day))
    session.exec(straddling.values(ends_on=where.ends_on, end_at=where.end_at))
    session.exec(update(ContractItem).where(col(ContractItem.id).in_(item_ids)).values(**values))
