"""What a credit note by hand is made from: the invoice's lines with their shares, and what was taken of them before."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from sqlalchemy import text
from sqlmodel import Session, col, select

from storage import coupons
from storage.catalogue import raise_revisions
from storage.sets import CHUNK, batched, in_chunks, list_value, listed, write_columns
from storage.tables import Contract, Invoice, InvoiceLine, InvoiceVat, InvoicingSchedule, LineShare

SHARES = """
    SELECT share.line_id, share.schedule_id, COALESCE(object.reference, ''), share.quantity, share.amount,
           share.share_minor
    FROM invoice_line AS line
    JOIN line_share AS share ON share.line_id = line.id
    JOIN invoicing_schedule AS schedule ON schedule.id = share.schedule_id
    LEFT JOIN connected_object AS object ON object.id = schedule.object_id
    WHERE line.invoice_id = :invoice_id
"""
TAKEN = """
    SELECT line.credits_line_id, share.schedule_id, share.quantity, share.amount, share.share_minor
    FROM invoice AS note
    JOIN invoice_line AS line ON line.invoice_id = note.id
    JOIN line_share AS share ON share.line_id = line.id
    WHERE note.credits_id = :invoice_id
"""
CHARGED = """
    SELECT share.schedule_id, line.component, line.unit_price,
           SUM(CASE document.kind WHEN 'credit_note' THEN -share.share_minor ELSE share.share_minor END)
    FROM line_share AS share
    JOIN invoice_line AS line ON line.id = share.line_id
    JOIN invoice AS document ON document.id = line.invoice_id AND document.status = 'issued'
    WHERE share.schedule_id IN (SELECT of_line.schedule_id FROM line_share AS of_line
                                JOIN invoice_line AS of_invoice ON of_invoice.id = of_line.line_id
                                WHERE of_invoice.invoice_id = :invoice_id)
    GROUP BY share.schedule_id, line.component, line.unit_price
"""
EXACTLY = """
    SELECT share.schedule_id, line.component, line.unit_price, share.quantity, share.amount, document.kind
    FROM line_share AS share
    JOIN invoice_line AS line ON line.id = share.line_id
    JOIN invoice AS document ON document.id = line.invoice_id AND document.status = 'issued'
    WHERE share.schedule_id {ids}
"""
At = tuple[int, str, Fraction]
"""Schedule, component and unit price."""


class ShareRow(NamedTuple):
    """One schedule's part of a line."""

    line_id: int
    schedule_id: int
    reference: str
    quantity: Fraction
    amount: Fraction
    share_minor: int


@dataclass(slots=True)
class Taken:
    """What earlier notes for a line took of one schedule's share."""

    quantity: Fraction = field(default_factory=Fraction)
    amount: Fraction = field(default_factory=Fraction)
    minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedInvoice:
    """An invoice with all that its credit notes are worked out from."""

    invoice: Invoice
    lines: Sequence[InvoiceLine]
    shares: Mapping[int, Sequence[ShareRow]]
    """By line id."""
    taken: Mapping[tuple[int, int], Taken]
    """By line and schedule, what notes for the line took."""
    charged: Mapping[At, int]
    """What all documents together charge."""
    rests: Mapping[At, tuple[Fraction, Fraction]]
    """The same exactly, quantity and amount, where a correction took some of a line back."""
    credited: Mapping[int, int]
    """By line id, what notes for the line took of it, in minor units."""
    coupons: Mapping[int, int]
    """By id of a line that is a coupon's, the coupon's."""
    vat: Sequence[InvoiceVat]
    credited_vat: Sequence[InvoiceVat]


def find(session: Session, number: str) -> Invoice | None:
    """The issued document of a number."""
    return session.exec(select(Invoice).where(Invoice.number == number)).first()


def note_of(session: Session, invoice_id: int, reference: str) -> Invoice | None:
    """The credit note by hand that was asked for with this word."""
    query = select(Invoice).where(Invoice.credits_id == invoice_id, Invoice.reference == reference)
    return session.exec(query).first()


def hold(session: Session, contract_id: int) -> Contract:
    """The contract, locked until the end of the transaction, so that what is credited takes turns."""
    query = select(Contract).where(Contract.id == contract_id).with_for_update(key_share=True)
    return session.exec(query.execution_options(populate_existing=True)).one()


def read(session: Session, invoice: Invoice) -> IssuedInvoice:
    """All that is known of an invoice and of what was taken of it, in a few statements whatever its size."""
    connection, values = session.connection(), {"invoice_id": invoice.id}
    shares: dict[int, list[ShareRow]] = defaultdict(list)
    for line_id, schedule_id, reference, quantity, amount, minor in connection.execute(text(SHARES), values):
        shares[line_id].append(
            ShareRow(line_id, schedule_id, reference, Fraction(quantity), Fraction(amount), int(minor))
        )
    taken: dict[tuple[int, int], Taken] = defaultdict(Taken)
    for line_id, schedule_id, quantity, amount, minor in connection.execute(text(TAKEN), values):
        sum_of = taken[line_id, schedule_id]
        sum_of.quantity += Fraction(quantity)
        sum_of.amount += Fraction(amount)
        sum_of.minor += int(minor)
    lines = session.exec(
        select(InvoiceLine).where(InvoiceLine.invoice_id == invoice.id).order_by(col(InvoiceLine.position))
    ).all()
    credited: dict[int, int] = defaultdict(int)
    of_coupons = coupons.of_invoice(session, invoice.id or 0)
    if of_coupons:
        query = select(col(InvoiceLine.credits_line_id), col(InvoiceLine.net_minor))
        for line_id, minor in session.exec(query.where(col(InvoiceLine.credits_line_id).in_(of_coupons))):
            credited[line_id or 0] += minor
    notes = select(col(Invoice.id)).where(Invoice.credits_id == invoice.id)
    charged = {
        (schedule_id, component, Fraction(price)): int(minor)
        for schedule_id, component, price, minor in connection.execute(text(CHARGED), values)
    }
    return IssuedInvoice(
        invoice=invoice,
        lines=lines,
        shares=shares,
        taken=taken,
        charged=charged,
        rests=_rests(session, _taken_back(lines, shares, taken, charged)),
        credited=credited,
        coupons=of_coupons,
        vat=session.exec(select(InvoiceVat).where(InvoiceVat.invoice_id == invoice.id)).all(),
        credited_vat=session.exec(select(InvoiceVat).where(col(InvoiceVat.invoice_id).in_(notes))).all(),
    )


def _taken_back(
    lines: Sequence[InvoiceLine],
    shares: Mapping[int, Sequence[ShareRow]],
    taken: Mapping[tuple[int, int], Taken],
    charged: Mapping[At, int],
) -> set[int]:
    """The schedules of which less is charged than the notes for their lines left."""
    nothing = Taken()
    return {
        share.schedule_id
        for line in lines
        for share in shares.get(line.id or 0, ())
        if charged[share.schedule_id, line.component, line.unit_price]
        != share.share_minor - taken.get((share.line_id, share.schedule_id), nothing).minor
    }


def _rests(session: Session, schedule_ids: Iterable[int]) -> dict[At, tuple[Fraction, Fraction]]:
    connection = session.connection()
    found: dict[At, tuple[Fraction, Fraction]] = {}
    for chunk in batched(sorted(schedule_ids), CHUNK):
        query = text(EXACTLY.format(ids=listed(connection, "ids")))
        for row in connection.execute(query, {"ids": list_value(connection, chunk)}):
            schedule_id, component, price, quantity, amount, kind = row
            sign, at = (-1 if kind == "credit_note" else 1), (schedule_id, component, Fraction(price))
            was = found.get(at, (Fraction(0), Fraction(0)))
            found[at] = was[0] + sign * Fraction(quantity), was[1] + sign * Fraction(amount)
    return found


def mark_for_billing_anew(session: Session, credited: Iterable[tuple[int, Fraction]]) -> None:
    """Take what was credited from the stored worth of the schedules, so that the next close charges them anew.

    It raises the revision of their contracts: a close that planned one before plans it again.
    """
    amounts: dict[int, Fraction] = defaultdict(Fraction)
    for schedule_id, amount in credited:
        amounts[schedule_id] += amount
    rows, contract_ids = [], set()
    for schedule in in_chunks(session, amounts, InvoicingSchedule, InvoicingSchedule.id):
        rows.append((str(schedule.amount - amounts[schedule.id or 0]), schedule.id))
        contract_ids.add(schedule.contract_id)
    session.expunge_all()
    write_columns(
        session.connection(),
        sqlite="UPDATE invoicing_schedule SET amount = ?, revalue = 1 WHERE id = ?",
        postgresql="UPDATE invoicing_schedule AS s SET amount = v.amount, revalue = 1 "
        "FROM unnest(%s::text[], %s::int[]) AS v (amount, id) WHERE s.id = v.id",
        rows=rows,
    )
    raise_revisions(session, contract_ids)


def has_gestures(session: Session) -> bool:
    """Whether any gesture was ever made."""
    return session.exec(select(Invoice.id).where(Invoice.purpose == "gesture").limit(1)).first() is not None


def given(session: Session, schedule_ids: Iterable[int]) -> dict[int, Fraction]:
    """By schedule, what gestures gave back of it, exact.

    It is no more than what is charged for it: a part of a line gives whole cents to its schedules, which may be a
    fraction of a cent more than one of them was charged.
    """
    found: dict[int, Fraction] = defaultdict(Fraction)
    charged: dict[int, Fraction] = defaultdict(Fraction)
    for chunk in batched(sorted(set(schedule_ids)), CHUNK):
        query = (
            select(col(LineShare.schedule_id), col(LineShare.amount), Invoice.purpose, Invoice.kind)
            .join(InvoiceLine, col(InvoiceLine.id) == col(LineShare.line_id))
            .join(Invoice, col(Invoice.id) == col(InvoiceLine.invoice_id))
            .where(col(LineShare.schedule_id).in_(chunk), Invoice.status == "issued")
        )
        for schedule_id, amount, purpose, kind in session.exec(query):
            if purpose == "gesture":
                found[schedule_id] += amount
            else:
                charged[schedule_id] += -amount if kind == "credit_note" else amount
    return {schedule_id: min(amount, charged[schedule_id]) for schedule_id, amount in found.items()}
