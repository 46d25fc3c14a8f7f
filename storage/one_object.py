"""What one object used and was told, over any range: each read from an index that the object leads.

The law: a page about one object costs the same in a fleet of ten and of a million.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction

from sqlalchemy import and_, func
from sqlmodel import Session, col, select

from storage.properties import parsed
from storage.tables import (
    Charge,
    ControlRequest,
    Invoice,
    InvoiceLine,
    InvoicingSchedule,
    LineShare,
    Metric,
    PropertySet,
    Quarantine,
    UsageRecord,
    UsageReversal,
    UsageRollup,
)

EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayOfUsage:
    """All records of a metric on a UTC day, in the metric's unit."""

    day: date
    record_count: int
    total: Fraction
    first: Fraction
    last: Fraction
    greatest: Fraction


def metrics_used(session: Session, object_id: int) -> Sequence[Metric]:
    """The metrics that the object has sent, by name."""
    query = (
        select(Metric)
        .where(col(Metric.id).in_(select(UsageRollup.metric_id).where(UsageRollup.object_id == object_id).distinct()))
        .order_by(col(Metric.name))
    )
    return session.exec(query).all()


def last_day_of_usage(session: Session, object_id: int, metric_id: int) -> date | None:
    """The last UTC day on which the object sent the metric."""
    found = session.exec(
        select(func.max(UsageRollup.day)).where(UsageRollup.object_id == object_id, UsageRollup.metric_id == metric_id)
    ).one()
    return None if found is None else EPOCH + timedelta(days=found)


def usage_by_day(session: Session, object_id: int, metric: Metric, first: date, last: date) -> list[DayOfUsage]:
    """The days of `[first, last]` on which the object sent the metric, in their order."""
    rows = session.exec(
        select(UsageRollup)
        .where(
            UsageRollup.object_id == object_id,
            UsageRollup.metric_id == metric.id,
            col(UsageRollup.day).between((first - EPOCH).days, (last - EPOCH).days),
            UsageRollup.record_count > 0,
        )
        .order_by(col(UsageRollup.day))
    )
    unit = 10**metric.decimals
    return [
        DayOfUsage(
            day=EPOCH + timedelta(days=row.day),
            record_count=row.record_count,
            total=Fraction(row.quantity_sum, unit),
            first=Fraction(row.first_quantity, unit),
            last=Fraction(row.last_quantity, unit),
            greatest=Fraction(row.quantity_max, unit),
        )
        for row in rows
    ]


def requests(session: Session, reference: str, limit: int) -> Sequence[ControlRequest]:
    """What the back office asked of the object, and was answered, at most `limit`, the newest first."""
    query = (
        select(ControlRequest)
        .where(ControlRequest.object_reference == reference)
        .order_by(col(ControlRequest.recorded_at).desc())
        .limit(limit)
    )
    return session.exec(query).all()


def refused(session: Session, reference: str, limit: int) -> Sequence[Quarantine]:
    """The messages for the object that wait in quarantine, at most `limit`, the newest first."""
    query = (
        select(Quarantine)
        .where(Quarantine.object_reference == reference, Quarantine.status == "waiting")
        .order_by(col(Quarantine.id).desc())
        .limit(limit)
    )
    return session.exec(query).all()


def charge_names(session: Session, schedules: Sequence[InvoicingSchedule]) -> dict[int, str]:
    """The names of the charges of these schedules, by the charge's id."""
    ids = {schedule.charge_id for schedule in schedules}
    return {row.id or 0: row.name for row in session.exec(select(Charge).where(col(Charge.id).in_(ids)))}


def invoiced_on(session: Session, schedules: Sequence[InvoicingSchedule]) -> dict[int, list[str]]:
    """The numbers of the documents that each of these schedules is on, by the schedule's id."""
    # What passed its threshold is on an invoice while its period goes on.
    ids = [schedule.id for schedule in schedules if schedule.status == "invoiced" or schedule.amount]
    rows = session.exec(
        select(LineShare.schedule_id, Invoice.number, Invoice.id)
        .join(InvoiceLine, col(InvoiceLine.id) == col(LineShare.line_id))
        .join(Invoice, col(Invoice.id) == col(InvoiceLine.invoice_id))
        .where(col(LineShare.schedule_id).in_(ids), Invoice.status == "issued")
        .distinct()
        .order_by(col(Invoice.id))
    )
    found: dict[int, list[str]] = {}
    for schedule_id, number, _ in rows:
        found.setdefault(schedule_id, []).append(number or "")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class LastHeard:
    """What a metric came to on one of the last days."""

    metric: str
    unit: str
    day: date
    record_count: int
    last_at: datetime
    last: Fraction


def last_heard(session: Session, object_id: int, metrics: Sequence[Metric], limit: int) -> list[LastHeard]:
    """The last days of each metric, together at most `limit`, the newest first."""
    found: list[LastHeard] = []
    for metric in metrics:
        rows = session.exec(
            select(UsageRollup)
            .where(
                UsageRollup.object_id == object_id,
                UsageRollup.metric_id == metric.id,
                UsageRollup.record_count > 0,
            )
            .order_by(col(UsageRollup.day).desc())
            .limit(limit)
        )
        found += [
            LastHeard(
                metric=metric.name,
                unit=metric.unit,
                day=EPOCH + timedelta(days=row.day),
                record_count=row.record_count,
                last_at=row.last_at,
                last=Fraction(row.last_quantity, 10**metric.decimals),
            )
            for row in rows
        ]
    return sorted(found, key=lambda it: it.last_at, reverse=True)[:limit]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRecord:
    """A usage record as it was stored."""

    occurred_at: datetime
    received_at: datetime
    value: Fraction
    discriminator: str
    origin: str
    properties: Mapping[str, str]
    taken_back: str


def records_of_day(session: Session, object_id: int, metric: Metric, day: date, limit: int) -> list[DayRecord]:
    """The records of a metric on a UTC day, in order of time, at most `limit`.

    The facts lie in time order: what is read is what all objects sent between the first and the last of them.
    """
    rollup = session.get(UsageRollup, ((day - EPOCH).days, object_id, metric.id))
    if rollup is None:
        return []
    same = (
        getattr(UsageReversal, name) == getattr(UsageRecord, name)
        for name in ("occurred_at", "object_id", "metric_id", "discriminator")
    )
    query = (
        select(UsageRecord, UsageReversal.reason, PropertySet.content)
        .outerjoin(UsageReversal, and_(*same))
        .outerjoin(PropertySet, col(PropertySet.id) == col(UsageRecord.property_set_id))
        .where(
            col(UsageRecord.occurred_at).between(rollup.first_at, rollup.last_at),
            UsageRecord.object_id == object_id,
            UsageRecord.metric_id == metric.id,
        )
        .order_by(col(UsageRecord.occurred_at), col(UsageRecord.discriminator))
        .limit(limit)
    )
    return [
        DayRecord(
            occurred_at=record.occurred_at,
            received_at=record.received_at,
            value=Fraction(record.quantity, 10**metric.decimals),
            discriminator=record.discriminator,
            origin=record.origin,
            properties=parsed(content),
            taken_back=reason or "",
        )
        for record, reason, content in session.exec(query)
    ]
