"""Money that a customer pays before it is invoiced: kept on the contract, taken by its next invoices.

The law: an advance is taken once, the oldest first, by invoices dated on its day or later, each up to its total. What
an invoice took is a payment of it, made in the transaction that issues it, so that its documents state it for good.
"""

from collections.abc import Collection
from datetime import date, datetime
from fractions import Fraction

from sqlmodel import Session

from billing.core.errors import Conflict, Invalid, NotFound
from billing.core.money import format_minor, minor_digits
from billing.payments import reference_of
from storage import advances, catalogue, payments
from storage.tables import Advance, Invoice, Payment

ORIGIN = "advance"


def record_advance(
    session: Session,
    contract_name: str,
    *,
    amount: Fraction,
    paid_on: date,
    reference: str,
    now: datetime,
    origin: str,
) -> Advance:
    """Record what was paid on a contract, in major units of its currency; the same reference again changes nothing.

    Raises NotFound for an unknown contract, Invalid for an amount that is not above zero or finer than the currency,
    and Conflict for a reference that is taken by another advance of the contract.
    """
    contract = catalogue.contracts(session, [contract_name]).get(contract_name)
    if contract is None:
        raise NotFound(f"no contract is called {contract_name!r}; the catalogue declares them")
    digits = minor_digits(contract.currency)
    scaled = amount * 10**digits
    if scaled <= 0 or scaled.denominator != 1:
        raise Invalid(f"an advance in {contract.currency} is above zero with at most {digits} decimals")
    found = advances.find(session, contract.id or 0, reference_of(reference))
    if found is None:
        found = Advance(
            contract_id=contract.id or 0,
            paid_on=paid_on,
            amount_minor=int(scaled),
            reference=reference,
            origin=origin,
            recorded_at=now,
        )
        advances.add(session, found)
    elif (found.amount_minor, found.paid_on) != (int(scaled), paid_on):
        paid = format_minor(found.amount_minor, digits)
        raise Conflict(f"advance {reference!r} of {contract_name} is {paid} on {found.paid_on}; use a new reference")
    return found


def take_advances(session: Session, invoice: Invoice, contract_ids: Collection[int], now: datetime) -> None:
    """Pay an invoice that was just issued from what was paid on its contracts before."""
    due = invoice.gross_minor if invoice.kind == "invoice" else 0
    for row in advances.of_contracts(session, contract_ids) if due > 0 else ():
        taken = min(due, row.left_minor) if row.advance.paid_on <= invoice.issued_on else 0
        if taken <= 0:
            continue
        due -= taken
        own = row.advance.contract_id == invoice.contract_id
        payments.add(
            session,
            Payment(
                invoice_id=invoice.id or 0,
                paid_on=row.advance.paid_on,
                amount_minor=taken,
                reference=row.advance.reference if own else f"{row.advance.reference} ({row.contract})",
                origin=ORIGIN,
                recorded_at=now,
                advance_id=row.advance.id,
            ),
        )
