"""What is still due on an invoice, and the one word for it; credit notes and payments are set against invoices here.

The law: what a credit note gives back is used once. It goes to the invoices that it names, in its order, each up to
what is open on it; what is left over is the customer's credit, shown on the note.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

PaymentState = Literal["open", "partly_paid", "paid", "overdue", "credited"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """An issued document, in minor units; `corrects` holds the numbers that a credit note names."""

    number: str
    credit_note: bool
    gross_minor: int
    due_on: date
    paid_minor: int
    corrects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Where a document stands: `due_minor` is still to be paid; for a credit note it is the credit not yet used."""

    paid_minor: int
    credited_minor: int
    due_minor: int
    state: PaymentState


def balances(documents: Sequence[Issued], today: date) -> Mapping[str, Balance]:
    """The balance of every document by number; `documents` are one customer's, in the order of issue."""
    open_minor = {each.number: each.gross_minor - each.paid_minor for each in documents if not each.credit_note}
    credited = dict.fromkeys((each.number for each in documents), 0)
    unused: dict[str, int] = {}
    for note in documents:
        if not note.credit_note:
            continue
        left = note.gross_minor - note.paid_minor
        for number in note.corrects:
            used = min(left, max(0, open_minor.get(number, 0)))
            if used:
                open_minor[number] -= used
                credited[number] += used
                left -= used
        unused[note.number] = left
    return {
        each.number: Balance(
            paid_minor=each.paid_minor,
            credited_minor=credited[each.number],
            due_minor=unused[each.number] if each.credit_note else open_minor[each.number],
            state=_state(
                due=unused[each.number] if each.credit_note else open_minor[each.number],
                paid=each.paid_minor or not each.gross_minor,
                overdue=not each.credit_note and today > each.due_on,
            ),
        )
        for each in documents
    }


def _state(*, due: int, paid: int | bool, overdue: bool) -> PaymentState:
    if due <= 0:
        return "paid" if paid else "credited"
    if overdue:
        return "overdue"
    return "partly_paid" if paid else "open"
