"""Drafts that wait for approval: approved as they stand, or voided; only a draft can be either.

The law: what is approved is what was shown, to the cent, and it takes its number then; usage that came since is late
usage of the next month. A draft that no longer fits its contract is not approved: the next close makes it anew.
"""

from datetime import datetime
from fractions import Fraction
from typing import cast

from sqlmodel import Session

from billing.advancing import take_advances
from billing.core.errors import NotFound, Refused
from billing.core.money import format_minor
from billing.core.numbering import InvoiceKind, number, series
from billing.dating import issue_day
from storage import closing, crediting, drafts, due, issuing, measuring
from storage.tables import BillingMonth, Contract, DraftMonth, Invoice


def approve(session: Session, name: str, now: datetime, *, total: Fraction | None = None) -> tuple[str, ...]:
    """Issue the drafts of a draft's contract and month; their numbers, in the order of the drafts.

    `total` is what the approver saw, VAT included: another total is refused. Raises NotFound for a name that no draft
    has, and Refused for what was issued and for a draft whose contract changed since it was made.
    """
    draft, waiting = _waiting(session, name)
    for each, contract in waiting:
        if contract.revision != each.revision:
            raise Refused(f"{contract.name} changed since {name} was made; close again, which makes it anew")
    if total is not None and total * 10**draft.minor_digits != draft.gross_minor:
        stated = format_minor(draft.gross_minor, draft.minor_digits)
        raise Refused(f"{name} is over {stated} {draft.currency} now; look at it again")
    found = drafts.of_month(session, draft.contract_id, draft.month_starts_on)
    lead = next(contract for _, contract in waiting if contract.id == draft.contract_id)
    for each, contract in waiting:
        _close(session, each, contract, now)
        measuring.store_boundaries(session, [tuple(row) for row in each.boundaries])
        due.update_schedules(session, [tuple(row) for row in each.schedules])
        due.look_again(session, each.carried)
    numbers = []
    for invoice in found:
        terms = invoice.due_on - invoice.issued_on
        invoice.issued_on = issue_day(session, lead, invoice.month_ends_on, now)
        invoice.due_on = invoice.issued_on + terms
        invoice.issued_at = now
        numbers.append(_issue(session, invoice))
        take_advances(session, invoice, [each.contract_id for each, _ in waiting], now)
    drafts.forget(session, [each for each, _ in waiting])
    return tuple(numbers)


def void(session: Session, name: str, now: datetime) -> None:
    """Close the month of a draft without a document: what was on it is due again, and goes on the next invoice.

    All drafts of its contract and month go with it. Raises NotFound for a name that no draft has, and Refused for what
    was issued.
    """
    draft, waiting = _waiting(session, name)
    contract_id, month = draft.contract_id, draft.month_starts_on
    for each, contract in waiting:
        _close(session, each, contract, now)
        due.look_again(session, [*(row[3] for row in each.schedules), *each.carried])
    drafts.drop(session, [contract_id], month)


def _waiting(session: Session, name: str) -> tuple[Invoice, list[tuple[DraftMonth, Contract]]]:
    """The draft with what waits for it, its contracts held in order of id."""
    draft = drafts.find(session, name)
    if draft is None:
        if crediting.find(session, name) is not None:
            raise Refused(f"{name} was issued; only drafts are approved or voided, what was issued is credited")
        raise NotFound(f"no draft is called {name}; `metergate invoices drafts` lists those that wait")
    found = drafts.waiting_with(session, draft.contract_id, draft.month_starts_on)
    held = {each.contract_id: crediting.hold(session, each.contract_id) for each in found}
    # A close may have made it anew, or approved it, before the contracts were held.
    draft = drafts.find(session, name)
    waiting = [] if draft is None else drafts.waiting_with(session, draft.contract_id, draft.month_starts_on)
    if draft is None or {each.contract_id for each in waiting} != set(held):
        raise NotFound(f"no draft is called {name} any more; `metergate invoices drafts` lists those that wait")
    return draft, [(each, held[each.contract_id]) for each in waiting]


def _close(session: Session, waiting: DraftMonth, contract: Contract, now: datetime) -> None:
    """Close the month, and tell every close that planned it to plan again."""
    closing.claim(session, contract_id=waiting.contract_id, revision=contract.revision)
    month = BillingMonth(
        contract_id=waiting.contract_id,
        month_starts_on=waiting.month_starts_on,
        usage_mark=waiting.usage_mark,
        closed_at=now,
    )
    closing.close_month(session, month)


def _issue(session: Session, draft: Invoice) -> str:
    name = series(cast("InvoiceKind", draft.kind), draft.issued_on)
    return issuing.give_number(session, draft, lambda: number(name, issuing.next_number(session, name)))
