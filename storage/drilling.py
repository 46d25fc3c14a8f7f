"""From an invoice to what is behind it, a page at a time: its line, the objects of a line, the month before.

The law: a page of the objects of a line is read in the order of their schedules, which is that of the key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from sqlalchemy import and_, func, or_, type_coerce
from sqlmodel import Session, col, select

from storage.tables import (
    ConnectedObject,
    Invoice,
    InvoiceLine,
    InvoicingSchedule,
    LineShare,
    ObjectShare,
    Quarantine,
)
from storage.types import Exact


class ShareRow(NamedTuple):
    """What one schedule, or one object of a pool, put on a line."""

    schedule_id: int
    object_id: int
    """0 where it is of no object."""
    reference: str | None
    starts_on: date
    ends_on: date
    quantity: Fraction
    share_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineOf:
    """A line and the document that it is on."""

    line: InvoiceLine
    invoice: Invoice


def line_of(session: Session, line_id: int) -> LineOf | None:
    """The line of an id."""
    line = session.get(InvoiceLine, line_id)
    return None if line is None else LineOf(line=line, invoice=session.get_one(Invoice, line.invoice_id))


def shares(
    session: Session,
    line_id: int,
    *,
    reference: str = "",
    after: tuple[int, int] = (0, 0),
    largest: bool = False,
    limit: int,
) -> list[ShareRow]:
    """What is on a line, after `(schedule, object)`, at most `limit`; of one object only, when it is named.

    With `largest` the greatest amounts come first: every share of the line is read for that.
    """
    object_id = func.coalesce(ObjectShare.object_id, InvoicingSchedule.object_id, 0)
    amount = func.coalesce(ObjectShare.share_minor, LineShare.share_minor)
    query = (
        select(  # type: ignore[call-overload]  # SQLModel's overloads end at four columns
            col(LineShare.schedule_id),
            object_id,
            col(ConnectedObject.reference),
            col(InvoicingSchedule.starts_on),
            col(InvoicingSchedule.ends_on),
            type_coerce(func.coalesce(ObjectShare.quantity, LineShare.quantity), Exact),
            amount,
        )
        .select_from(LineShare)
        .join(InvoicingSchedule, col(InvoicingSchedule.id) == col(LineShare.schedule_id))
        .outerjoin(
            ObjectShare,
            and_(
                col(ObjectShare.line_id) == col(LineShare.line_id),
                col(ObjectShare.schedule_id) == col(LineShare.schedule_id),
            ),
        )
        .outerjoin(ConnectedObject, col(ConnectedObject.id) == object_id)
        .where(LineShare.line_id == line_id)
        .limit(limit)
    )
    if reference:
        named = select(ConnectedObject.id).where(ConnectedObject.reference == reference).scalar_subquery()
        query = query.where(or_(col(ObjectShare.object_id) == named, col(InvoicingSchedule.object_id) == named))
    if largest:
        return [ShareRow(*row) for row in session.exec(query.order_by(func.abs(amount).desc()))]
    schedule, one = after
    query = query.where(
        col(LineShare.schedule_id) >= schedule,
        or_(col(LineShare.schedule_id) > schedule, func.coalesce(ObjectShare.object_id, 0) > one),
    ).order_by(col(LineShare.schedule_id), col(ObjectShare.object_id))
    return [ShareRow(*row) for row in session.exec(query)]


def month_before(session: Session, invoice: Invoice) -> Invoice | None:
    """The last invoice of the same contract (and part of it) for an earlier month."""
    return session.exec(
        select(Invoice)
        .where(
            Invoice.contract_id == invoice.contract_id,
            Invoice.month_starts_on < invoice.month_starts_on,
            Invoice.kind == "invoice",
            Invoice.purpose == "period",
            Invoice.part == invoice.part,
            Invoice.status == "issued",
        )
        .order_by(col(Invoice.month_starts_on).desc())
        .limit(1)
    ).first()


def net_by_charge(session: Session, invoice_id: int) -> dict[tuple[str, str], int]:
    """What an invoice comes to by subscription and charge, net, in minor units."""
    rows = session.exec(
        select(InvoiceLine.subscription_name, InvoiceLine.charge_name, func.sum(InvoiceLine.net_minor))
        .where(InvoiceLine.invoice_id == invoice_id)
        .group_by(col(InvoiceLine.subscription_name), col(InvoiceLine.charge_name))
    )
    return {(subscription, charge): int(net) for subscription, charge, net in rows}


def notes_of(session: Session, invoice_id: int) -> Sequence[Invoice]:
    """The credit notes by hand of an invoice, oldest first."""
    query = select(Invoice).where(Invoice.credits_id == invoice_id).order_by(col(Invoice.id))
    return session.exec(query).all()


def message_of(session: Session, reference: str, received_at: object) -> int | None:
    """The message that was taken in from quarantine, when a record came from there."""
    return session.exec(
        select(Quarantine.id).where(
            Quarantine.object_reference == reference,
            Quarantine.status == "replayed",
            Quarantine.received_at == received_at,
        )
    ).first()
