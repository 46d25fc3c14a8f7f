"""Drafts that wait for approval: what a close decided for a month of a contract, kept until a person says yes or no."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import text
from sqlmodel import Session, col, select

from storage.tables import DraftMonth, Invoice

OF_DRAFTS = "SELECT id FROM invoice WHERE contract_id = :lead_id AND month_starts_on = :month AND status = 'draft'"
DROPPED = (
    f"DELETE FROM coupon_use WHERE line_id IN (SELECT id FROM invoice_line WHERE invoice_id IN ({OF_DRAFTS}))",
    f"DELETE FROM object_share WHERE line_id IN (SELECT id FROM invoice_line WHERE invoice_id IN ({OF_DRAFTS}))",
    f"DELETE FROM line_share WHERE line_id IN (SELECT id FROM invoice_line WHERE invoice_id IN ({OF_DRAFTS}))",
    f"DELETE FROM invoice_line WHERE invoice_id IN ({OF_DRAFTS})",
    f"DELETE FROM invoice_vat WHERE invoice_id IN ({OF_DRAFTS})",
    f"DELETE FROM invoice WHERE id IN ({OF_DRAFTS})",
    "DELETE FROM draft_month WHERE lead_id = :lead_id AND month_starts_on = :month",
)


def find(session: Session, name: str) -> Invoice | None:
    """The draft of this name."""
    query = select(Invoice).where(Invoice.draft_name == name).execution_options(populate_existing=True)
    return session.exec(query).first()


def waiting_with(session: Session, lead_id: int, month_starts_on: date) -> Sequence[DraftMonth]:
    """What waits with the drafts of a contract: its month, and those of the contracts on the same documents."""
    query = select(DraftMonth).where(DraftMonth.lead_id == lead_id, DraftMonth.month_starts_on == month_starts_on)
    return session.exec(query.order_by(col(DraftMonth.contract_id)).execution_options(populate_existing=True)).all()


def of_month(session: Session, contract_id: int, month_starts_on: date) -> Sequence[Invoice]:
    """The drafts of a month, in the order in which they were made."""
    query = select(Invoice).where(
        Invoice.contract_id == contract_id, Invoice.month_starts_on == month_starts_on, Invoice.status == "draft"
    )
    return session.exec(query.order_by(col(Invoice.id))).all()


def keep(session: Session, waiting: DraftMonth) -> None:
    """Remember what approving will write."""
    session.add(waiting)
    session.flush()


def forget(session: Session, waiting: Sequence[DraftMonth]) -> None:
    """Nothing waits any more: the month was approved."""
    for each in waiting:
        session.delete(each)
    session.flush()


def drop(session: Session, contract_ids: Sequence[int], month_starts_on: date) -> None:
    """Take the drafts of a month of contracts away, with all that is on them; nothing where none wait."""
    query = select(DraftMonth.lead_id).where(
        col(DraftMonth.contract_id).in_(contract_ids), DraftMonth.month_starts_on == month_starts_on
    )
    leads = set(session.exec(query))
    connection = session.connection()
    for lead_id in sorted(leads):
        for statement in DROPPED:
            connection.execute(text(statement), {"lead_id": lead_id, "month": month_starts_on.isoformat()})
    if leads:
        session.expunge_all()
