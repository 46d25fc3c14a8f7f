"""What was charged, and the rows of an invoice: parties, lines, shares, tax, and the number that is taken last."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, text
from sqlmodel import Session, col, select

from storage import coupons, pools
from storage.copying import copy_rows
from storage.sealing import seal
from storage.sets import CHUNK, batched
from storage.tables import (
    Contract,
    Customer,
    Invoice,
    InvoiceLine,
    InvoiceVat,
    LineShare,
    Seller,
)
from storage.telling import tell_issued


@dataclass(frozen=True, slots=True, kw_only=True)
class Charged:
    """One component that an invoice charged for a schedule; of a credit note with its sign turned back."""

    schedule_id: int
    component: str
    unit_price: Fraction
    quantity: Fraction
    amount: Fraction
    number: str
    kind: str


def charged(session: Session, schedule_ids: Iterable[int]) -> dict[int, list[Charged]]:
    """By schedule, everything that issued invoices and credit notes have charged, in order of line.

    A gesture is left out: what it gave is not to be billed again by the next difference.
    """
    found: dict[int, list[Charged]] = {}
    for chunk in batched(sorted(set(schedule_ids)), CHUNK):
        rows = session.exec(
            select(LineShare, InvoiceLine, Invoice)
            .join(InvoiceLine, col(InvoiceLine.id) == col(LineShare.line_id))
            .join(Invoice, col(Invoice.id) == col(InvoiceLine.invoice_id))
            .where(col(LineShare.schedule_id).in_(chunk), Invoice.status == "issued", Invoice.purpose != "gesture")
            .order_by(col(LineShare.line_id))
        )
        for share, line, invoice in rows:
            sign = -1 if invoice.kind == "credit_note" else 1
            found.setdefault(share.schedule_id, []).append(
                Charged(
                    schedule_id=share.schedule_id,
                    component=line.component,
                    unit_price=line.unit_price,
                    quantity=sign * share.quantity,
                    amount=sign * share.amount,
                    number=invoice.number or "",
                    kind=invoice.kind,
                )
            )
    session.expunge_all()
    return found


def parties(session: Session, contract_id: int) -> tuple[Contract, Customer, Seller | None]:
    """The contract, its customer and the seller, to be frozen onto an invoice."""
    row = session.exec(
        select(Contract, Customer)
        .join(Customer, col(Customer.id) == col(Contract.customer_id))
        .where(Contract.id == contract_id)
    ).one()
    return row[0], row[1], session.exec(select(Seller)).first()


def next_number(session: Session, series: str) -> int:
    """The next number of a series; its row stays locked until the end of the transaction."""
    return int(
        session.connection().scalar(
            text(
                "INSERT INTO number_series (name, last_number) VALUES (:name, 1) ON CONFLICT (name) "
                "DO UPDATE SET last_number = number_series.last_number + 1 RETURNING last_number"
            ),
            {"name": series},
        )
    )


def issue(
    session: Session,
    invoice: Invoice,
    lines: Sequence[tuple[InvoiceLine, Iterable[tuple[int, str, str, int]]]],
    vat: Sequence[InvoiceVat],
    number: Callable[[], str] | None,
    *,
    object_shares: Mapping[int, Sequence[tuple[Any, ...]]] = MappingProxyType({}),
    coupon_uses: Mapping[int, tuple[int, int]] = MappingProxyType({}),
) -> str:
    """Write an invoice with its lines, shares (without their line id) and VAT; the number is taken last.

    `object_shares` are the parts of objects in pools, by the place of the line, without its id; `coupon_uses` the
    coupons of lines. Without a number it stays a draft, and is called by its draft name.
    """
    invoice.status = "draft"
    session.add(invoice)
    session.flush()
    assert invoice.id is not None  # noqa: S101 - flushed
    for line, _ in lines:
        line.invoice_id = invoice.id
        session.add(line)
    for total in vat:
        total.invoice_id = invoice.id
        session.add(total)
    session.flush()
    _store_shares(session.connection(), ((line.id or 0, *share) for line, shares in lines for share in shares))
    of_objects = [(lines[place][0].id, *row) for place, rows in object_shares.items() for row in rows]
    pools.store_shares(session.connection(), of_objects)
    coupons.add_uses(
        session.connection(), [(lines[place][0].id or 0, *use) for place, use in sorted(coupon_uses.items())]
    )
    return invoice.draft_name or "" if number is None else give_number(session, invoice, number)


def give_number(session: Session, invoice: Invoice, number: Callable[[], str]) -> str:
    """Issue a written draft: from now on nothing of it changes."""
    invoice.draft_name = None
    invoice.number = number()
    invoice.status = "issued"
    session.add(invoice)
    session.flush()
    seal(session, invoice.id or 0)
    tell_issued(session, invoice)
    return invoice.number


def _store_shares(connection: Connection, rows: Iterator[tuple[int, int, str, str, int]]) -> None:
    """All shares of an invoice at once, however many lines they are on."""
    columns = "line_id, schedule_id, quantity, amount, share_minor"
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"INSERT INTO line_share ({columns}) VALUES (?, ?, ?, ?, ?)", list(rows))
    else:
        copy_rows(connection, "line_share", columns, rows)
