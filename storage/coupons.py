"""Coupons of contracts, and what documents took of them: rows that are added with a document and never changed.

The law: a draft's uses count for nothing before it is issued, and go with it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from sqlalchemy import Connection, text
from sqlmodel import Session, col, select

from storage.sets import CHUNK, batched
from storage.tables import Contract, Coupon, CouponUse, Invoice, InvoiceLine


class ReducedLine(NamedTuple):
    """A line of a document that coupons were taken off, with its use where it is one of theirs."""

    position: int
    contract: str
    subscription: str
    vat_category: str
    vat_rate: Fraction
    net_minor: int
    coupon_id: int | None
    taken_minor: int | None


class CouponLine(NamedTuple):
    """Which line took of a coupon."""

    coupon_id: int
    taken_minor: int


def of_contracts(session: Session, contract_ids: Collection[int]) -> list[Coupon]:
    """The coupons of contracts, in the order in which they were declared."""
    found: list[Coupon] = []
    for chunk in batched(sorted(contract_ids), CHUNK):
        found += session.exec(select(Coupon).where(col(Coupon.contract_id).in_(chunk)))
    return sorted(found, key=lambda row: row.id or 0)


def taken(session: Session, contract_ids: Collection[int]) -> dict[int, dict[date, int]]:
    """By coupon and billing month, what issued documents took, less what was cancelled to be billed anew."""
    found: dict[int, dict[date, int]] = {}
    for chunk in batched(sorted(contract_ids), CHUNK):
        query = (
            select(CouponUse, Invoice)
            .join(InvoiceLine, col(InvoiceLine.id) == col(CouponUse.line_id))
            .join(Invoice, col(Invoice.id) == col(InvoiceLine.invoice_id))
            .join(Coupon, col(Coupon.id) == col(CouponUse.coupon_id))
            .where(col(Coupon.contract_id).in_(chunk), Invoice.status == "issued")
        )
        for use, invoice in session.exec(query).all():
            # A note gives back what its invoice took, to the month of the invoice.
            of = invoice if invoice.credits_id is None else session.get_one(Invoice, invoice.credits_id)
            months = found.setdefault(use.coupon_id, {})
            months[of.month_starts_on] = months.get(of.month_starts_on, 0) + use.taken_minor
    return found


def any_used(session: Session, coupon_id: int) -> bool:
    """Whether any document, a draft too, takes of the coupon."""
    return session.exec(select(CouponUse.line_id).where(CouponUse.coupon_id == coupon_id).limit(1)).first() is not None


def of_invoice(session: Session, invoice_id: int) -> dict[int, int]:
    """By line id, the coupon that the line takes off."""
    query = (
        select(CouponUse.line_id, CouponUse.coupon_id)
        .join(InvoiceLine, col(InvoiceLine.id) == col(CouponUse.line_id))
        .where(InvoiceLine.invoice_id == invoice_id)
    )
    return dict(session.exec(query).all())


def add_uses(connection: Connection, rows: Sequence[tuple[int, int, int]]) -> None:
    """Line, coupon and what is taken, of each line of a document that is a coupon's."""
    if rows:
        connection.execute(
            text("INSERT INTO coupon_use (line_id, coupon_id, taken_minor) VALUES (:line, :coupon, :taken)"),
            [{"line": line, "coupon": coupon, "taken": minor} for line, coupon, minor in rows],
        )


def used_lines(session: Session) -> dict[int, CouponLine]:
    """By line id, of all documents, what takes of a coupon."""
    return {row.line_id: CouponLine(row.coupon_id, row.taken_minor) for row in session.exec(select(CouponUse))}


def all_coupons(session: Session) -> Mapping[int, tuple[Coupon, str, str]]:
    """Every coupon by its id, with its contract's name and currency."""
    query = select(Coupon, Contract).join(Contract, col(Contract.id) == col(Coupon.contract_id))
    return {row.id or 0: (row, contract.name, contract.currency) for row, contract in session.exec(query)}


def reducible(session: Session) -> Iterator[tuple[Invoice, list[ReducedLine]]]:
    """Every issued document of customers that have coupons, in the order of issue, with all its lines."""
    customers = select(col(Contract.customer_id)).join(Coupon, col(Coupon.contract_id) == col(Contract.id))
    query = select(Invoice).where(col(Invoice.customer_id).in_(customers), Invoice.status == "issued")
    for invoice in session.exec(query.order_by(col(Invoice.id))).all():
        rows = session.exec(
            select(InvoiceLine, CouponUse)
            .join(CouponUse, col(CouponUse.line_id) == col(InvoiceLine.id), isouter=True)
            .where(InvoiceLine.invoice_id == invoice.id)
            .order_by(col(InvoiceLine.position))
        ).all()
        yield (
            invoice,
            [
                ReducedLine(
                    position=line.position,
                    contract=str(line.group_values.get("contract", "")),
                    subscription=line.subscription_name,
                    vat_category=line.vat_category,
                    vat_rate=line.vat_rate,
                    net_minor=line.net_minor,
                    coupon_id=None if use is None else use.coupon_id,
                    taken_minor=None if use is None else use.taken_minor,
                )
                for line, use in rows
            ],
        )
