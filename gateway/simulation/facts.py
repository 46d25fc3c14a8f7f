"""What the engine made of a history, as plain facts for the auditor: amounts by object, charge and period; documents.

The law: it reads what was issued, and computes nothing but sums.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from sqlmodel import Session

from gateway.simulation.auditor import Owed
from gateway.simulation.coupons import Document, Line
from storage import detail, invoices

REGISTER_CHARGE = "Energy"


@dataclass(slots=True)
class Charged:
    """Net, exact, of all that was invoiced less all that was credited; what gestures gave back stands beside."""

    amounts: Owed = field(default_factory=lambda: defaultdict(Fraction))
    given: Owed = field(default_factory=lambda: defaultdict(Fraction))
    moved: Owed = field(default_factory=lambda: defaultdict(Fraction))
    """The same without signs: a gesture for a whole invoice also takes back what that gave back."""


def charged(session: Session, pooled: Collection[str]) -> Charged:
    """What was charged; `pooled` are the charges whose amounts are of a contract or a subscription as a whole."""
    found = Charged()
    for summary in invoices.list_invoices(session):
        sign = -1 if summary.kind == "credit_note" else 1
        document = invoices.invoice_document(session, summary.number)
        nominal = {line.position: line.period_starts_on for line in document.lines}
        for row in detail.detail_rows(session, summary.number):
            first = min(nominal.values()).min if row.charge == REGISTER_CHARGE else nominal[row.line]
            who = f"{document.contract} / {row.subscription}" if row.charge in pooled else row.reference
            if document.purpose == "gesture":
                found.given[who, row.charge, first] += row.amount
                found.moved[who, row.charge, first] += abs(row.amount)
            else:
                found.amounts[who, row.charge, first] += sign * row.amount
    return found


def documents(session: Session) -> Iterator[Document]:
    """The issued documents in the order of issue, with their lines."""
    months: dict[str, str] = {}
    for number in invoices.in_order_of_issue(session):
        document = invoices.invoice_document(session, number)
        months[number] = document.month_starts_on.isoformat()
        yield Document(
            number=number,
            contract=document.contract,
            purpose=document.purpose,
            kind=document.kind,
            month=months[document.corrects[0] if document.purpose == "cancellation" else number],
            lines=tuple(
                Line(
                    rate=(line.vat_category, line.vat_rate),
                    subscription=line.subscription,
                    net_minor=line.net_minor,
                    coupon=line.charge if line.component == "Coupon" else "",
                )
                for line in document.lines
            ),
        )
