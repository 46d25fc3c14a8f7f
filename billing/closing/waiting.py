"""An invoice too small to be sent: it waits, and what was to be on it goes on the one that is large enough.

The law: nothing is lost by waiting. What was never charged stays due, what was is looked at again.
"""

from collections.abc import Collection, Sequence
from datetime import date, timedelta

from sqlmodel import Session

from billing.closing.rows import Row
from billing.core.invoicing import InvoiceDraft
from billing.core.money import minor_digits
from storage import due
from storage.closing import ContractToClose

DAY = timedelta(days=1)


def waits(session: Session, contracts: Sequence[ContractToClose], draft: InvoiceDraft, month_ends_on: date) -> bool:
    """Whether an invoice is too small to be issued; the last one is not, since nothing follows it."""
    lead = contracts[0]
    if draft.kind != "invoice" or draft.gross_minor >= lead.minimum_invoice * 10 ** minor_digits(lead.currency):
        return False
    return any(due.follows(session, contract.id, month_ends_on - DAY) for contract in contracts)


def carry(rows: Sequence[Row], billed: Collection[int], charged: Collection[int]) -> tuple[list[Row], list[int]]:
    """What is written when the invoice waits: what was to be on it is valued and still due, the rest is settled.

    What was `charged` before is looked at again by the next close, so its row is left as it is.
    """
    kept = [
        ("valued" if identity in billed else status, quantity, amount, identity)
        for status, quantity, amount, identity in rows
        if identity not in billed or identity not in charged
    ]
    return kept, sorted(identity for identity in charged if identity in billed)
