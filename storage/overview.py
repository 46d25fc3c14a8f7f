"""What is there, for summaries and lists."""

from datetime import date, datetime
from fractions import Fraction
from typing import Any

from sqlalchemy import and_, func, or_, text
from sqlmodel import Session, col, select

from storage.properties import parsed
from storage.tables import (
    OPEN_STATUSES,
    ConnectedObject,
    InvoicingSchedule,
    Metric,
    PropertySet,
    UsageRecord,
    UsageReversal,
    UsageRollup,
)
from storage.types import from_micros


def usage_record_count(session: Session) -> int:
    """How many usage records are stored, from the rollup: no history is read."""
    return int(session.exec(select(func.coalesce(func.sum(UsageRollup.record_count), 0))).one())


def usage_of(
    session: Session,
    reference: str,
    *,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    after: tuple[int, str, str] | None = None,
) -> list[dict[str, Any]]:
    """Usage records of one object in `[since, until)`, in time order, at most `limit`; why one was taken back.

    With `after`, those after the one of that (microseconds, metric, id).
    """
    statement = (
        select(UsageRecord, Metric, UsageReversal, PropertySet.content)
        .join(Metric, col(UsageRecord.metric_id) == col(Metric.id))
        .join(ConnectedObject, col(UsageRecord.object_id) == col(ConnectedObject.id))
        .outerjoin(
            UsageReversal,
            and_(
                *(
                    col(getattr(UsageReversal, name)) == col(getattr(UsageRecord, name))
                    for name in ("occurred_at", "object_id", "metric_id", "discriminator")
                )
            ),
        )
        .outerjoin(PropertySet, col(PropertySet.id) == col(UsageRecord.property_set_id))
        .where(ConnectedObject.reference == reference)
        .order_by(col(UsageRecord.occurred_at), col(Metric.name), col(UsageRecord.discriminator))
        .limit(limit)
    )
    if after is not None:
        at = from_micros(after[0])
        later = or_(
            col(UsageRecord.occurred_at) > at,
            col(Metric.name) > after[1],
            and_(col(Metric.name) == after[1], col(UsageRecord.discriminator) > after[2]),
        )
        statement = statement.where(col(UsageRecord.occurred_at) >= at, later)
    if since is not None:
        statement = statement.where(col(UsageRecord.occurred_at) >= since)
    if until is not None:
        statement = statement.where(col(UsageRecord.occurred_at) < until)
    return [
        {
            "occurred_at": record.occurred_at,
            "metric": metric.name,
            "value": Fraction(record.quantity, 10**metric.decimals),
            "unit": metric.unit,
            "properties": parsed(content),
            "id": record.discriminator,
            "received_at": record.received_at,
            "origin": record.origin,
            "taken_back": "" if reversal is None else reversal.reason,
        }
        for record, metric, reversal, content in session.exec(statement)
    ]


def oldest_due(session: Session) -> date | None:
    """The earliest day on which a schedule that is still open was or will be due; None when nothing is open."""
    # In the words of the index of what is due, which SQLite then reads.
    return session.exec(select(func.min(InvoicingSchedule.due_on)).where(text(f"status IN {OPEN_STATUSES}"))).one()
