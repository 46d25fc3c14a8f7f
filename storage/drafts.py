"""Drafts that wait for approval: what a close decided for a month of a contract, kept until a person says yes or no."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import text
from sqlmodel import Session, col, select

from storage.tables import DraftMonth, Invoice

OF_DRAFTS = "SELECT id FROM invoice WHERE contract_id = :contract_id AND month_starts_on = :month AND status = 'draft'"
DROPPED = (
    f"DELETE FROM object_share WHERE line_id IN (SELECT id FROM invoice_line WHERE invoice_id IN ({OF_DRAFTS}))",
    f"DELETE FROM line_share WHERE line_id IN (SELECT id FROM invoice_line WHERE invoice_id IN ({OF_DRAFTS}))",
    f"DELETE FROM invoice_line WHERE invoice_id IN ({OF_DRAFTS})",
    f"DELETE FROM invoice_vat WHERE invoice_id IN ({OF_DRAFTS})",
    f"DELETE FROM invoice WHERE id IN ({OF_DRAFTS})",
    "DELETE FROM draft_month WHERE contract_id = :contract_id AND month_starts_on = :month",
)


def find(session: Session, name: str) -> Invoice | None:
    """The draft of this name."""
    query = select(Invoice).where(Invoice.draft_name == name).execution_options(populate_existing=True)
    return session.exec(query).first()


def month(session: Session, contract_id: int, month_starts_on: date) -> DraftMonth | None:
    """What waits for a month of a contract."""
    return session.get(DraftMonth, (contract_id, month_starts_on), populate_existing=True)


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


def forget(session: Session, waiting: DraftMonth) -> None:
    """Nothing waits any more: the month was approved."""
    session.delete(waiting)
    session.flush()


def drop(session: Session, contract_id: int, month_starts_on: date) -> None:
    """Take the drafts of a month away, with all that is on them; nothing where none wait."""
    if month(session, contract_id, month_starts_on) is None:
        return
    values = {"contract_id": contract_id, "month": month_starts_on.isoformat()}
    connection = session.connection()
    for statement in DROPPED:
        connection.execute(text(statement), values)
    session.expunge_all()
