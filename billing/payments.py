"""Payments of invoices: recorded once, never more than is due, and what is still due told in one word.

The law: an issued invoice does not change when it is paid; its state is worked out from what was recorded.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from fractions import Fraction

from sqlmodel import Session

from billing.core.errors import Conflict, Invalid, NotFound, Refused
from billing.core.money import format_minor
from billing.core.payments import Balance, Issued, balances
from storage import payments as stored
from storage.payments import DocumentRow
from storage.tables import Payment

REFERENCE_LIMIT = 200


def record_payment(
    session: Session,
    number: str,
    *,
    amount: Fraction,
    paid_on: date,
    reference: str,
    now: datetime,
    origin: str,
) -> Balance:
    """Record what was paid for an invoice (or paid out for a credit note), in major units; its balance afterwards.

    The same reference again changes nothing. Raises NotFound for an unknown number, Invalid for an amount that is
    not above zero or finer than the currency, Conflict for a reference that is taken by another payment, and Refused
    for more than is due.
    """
    reference = reference_of(reference)
    rows = stored.documents(session, number=number, lock=True)
    row = next((row for row in rows if row.number == number), None)
    if row is None:
        raise NotFound(f"no invoice has the number {number}; `metergate invoices list` shows those issued")
    scaled = amount * 10**row.minor_digits
    if scaled <= 0 or scaled.denominator != 1:
        raise Invalid(f"a payment in {row.currency} is above zero with at most {row.minor_digits} decimals")
    if paid_on < row.issued_on:
        raise Invalid(f"{number} was issued on {row.issued_on}, so it cannot be paid on {paid_on}; correct the day")
    for payment in stored.of_document(session, row.id):
        if payment.reference == reference:
            if (payment.amount_minor, payment.paid_on) != (int(scaled), paid_on):
                paid = format_minor(payment.amount_minor, row.minor_digits)
                raise Conflict(f"payment {reference!r} of {number} is {paid} on {payment.paid_on}; use a new reference")
            return _balances(rows, now.date())[number]
    due = _balances(rows, now.date())[number].due_minor
    if scaled > due:
        raise Refused(f"{format_minor(due, row.minor_digits)} {row.currency} is due on {number}, not more")
    stored.add(
        session,
        Payment(
            invoice_id=row.id,
            paid_on=paid_on,
            amount_minor=int(scaled),
            reference=reference,
            origin=origin,
            recorded_at=now,
        ),
    )
    return _balances(stored.documents(session, number=number), now.date())[number]


def reference_of(text: str) -> str:
    """The payer's or the bank's word for a payment. Raises Invalid."""
    if not 1 <= len(text) <= REFERENCE_LIMIT or not text.isprintable():
        raise Invalid(f"a payment's reference has 1 to {REFERENCE_LIMIT} printable characters, got {text!r}")
    return text


def all_balances(session: Session, today: date) -> Mapping[str, Balance]:
    """The balance of every issued document, by number."""
    return _balances(stored.documents(session), today)


def balance_of(session: Session, number: str, today: date) -> Balance:
    """The balance of one document. Raises NotFound."""
    found = _balances(stored.documents(session, number=number), today)
    if number not in found:
        raise NotFound(f"no invoice has the number {number}; `metergate invoices list` shows those issued")
    return found[number]


def _balances(rows: Sequence[DocumentRow], today: date) -> dict[str, Balance]:
    accounts: dict[tuple[int, str], list[Issued]] = defaultdict(list)
    for row in rows:
        accounts[row.customer_id, row.currency].append(
            Issued(
                number=row.number,
                credit_note=row.kind == "credit_note",
                gross_minor=row.gross_minor,
                due_on=row.due_on,
                paid_minor=row.paid_minor,
                corrects=row.corrects,
            )
        )
    return {number: found for issued in accounts.values() for number, found in balances(issued, today).items()}
