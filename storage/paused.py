"""The closed schedules of usage whose object was suspended meanwhile."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlmodel import Session, col

from storage.sets import CHUNK, batched
from storage.tables import Charge, ConnectedObject, Contract, ContractItem, InvoicingSchedule, Suspension


@dataclass(slots=True, kw_only=True)
class PausedSchedule:
    """A schedule with the suspensions of its item."""

    id: int
    contract: str
    timezone: str
    reference: str
    charge: str
    charge_id: int
    object_id: int
    metric_id: int
    starts_on: date
    ends_on: date
    start_at: datetime
    end_at: datetime
    suspensions: list[tuple[date, date | None]] = field(default_factory=list)


def usage_definitions(session: Session) -> Iterator[tuple[int, dict[str, Any]]]:
    """Id and definition of every usage charge of every plan version."""
    for row in session.execute(select(Charge).where(col(Charge.type) == "usage")).scalars():
        if row.id is not None:
            yield row.id, row.definition


def schedules(
    session: Session,
    charge_ids: Iterable[int],
    *,
    contracts: Collection[int] | None = None,
    month: tuple[date, date] | None = None,
) -> list[PausedSchedule]:
    """The closed schedules of some charges that a suspension of their item meets; due in a month when one is given."""
    found: dict[int, PausedSchedule] = {}
    for part in batched(sorted(set(charge_ids)), CHUNK):
        for schedule, contract, reference, charge, suspension in session.execute(
            _query(part, contracts=contracts, month=month)
        ):
            row = found.setdefault(
                schedule.id,
                PausedSchedule(
                    id=schedule.id,
                    contract=contract.name,
                    timezone=contract.timezone,
                    reference=reference,
                    charge=charge,
                    charge_id=schedule.charge_id,
                    object_id=schedule.object_id,
                    metric_id=schedule.metric_id,
                    starts_on=schedule.starts_on,
                    ends_on=schedule.ends_on,
                    start_at=schedule.start_at,
                    end_at=schedule.end_at,
                ),
            )
            row.suspensions.append((suspension.starts_on, suspension.ends_on))
    return list(found.values())


def _query(charge_ids: Collection[int], *, contracts: Collection[int] | None, month: tuple[date, date] | None) -> Any:
    query = (
        select(InvoicingSchedule, Contract, col(ConnectedObject.reference), col(Charge.name), Suspension)
        .join(Contract, col(Contract.id) == col(InvoicingSchedule.contract_id))
        .join(ConnectedObject, col(ConnectedObject.id) == col(InvoicingSchedule.object_id))
        .join(Charge, col(Charge.id) == col(InvoicingSchedule.charge_id))
        .join(ContractItem, col(ContractItem.id) == col(InvoicingSchedule.contract_item_id))
        .join(Suspension, col(Suspension.contract_item_id) == col(ContractItem.id))
        .where(
            col(InvoicingSchedule.object_id) == col(ContractItem.object_id),
            col(InvoicingSchedule.charge_id).in_(charge_ids),
            col(InvoicingSchedule.status).in_(("invoiced", "settled")),
            col(Suspension.starts_on) < col(InvoicingSchedule.ends_on),
            (col(Suspension.ends_on).is_(None)) | (col(Suspension.ends_on) > col(InvoicingSchedule.starts_on)),
        )
        .order_by(col(InvoicingSchedule.id), col(Suspension.starts_on))
    )
    if month is not None:
        query = query.where(col(InvoicingSchedule.due_on) >= month[0], col(InvoicingSchedule.due_on) < month[1])
    if contracts is not None:
        query = query.where(col(InvoicingSchedule.contract_id).in_(list(contracts)))
    return query
