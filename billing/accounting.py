"""The accounting export: the journal entries of a month, from what was issued and, if asked for, what was paid.

The law: a month is exported whole and balanced, or not at all.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, cast

from sqlmodel import Session

from billing.core.journal import Accounts, Document, JournalEntry, Line, Money, Vat, entry_of, entry_of_money
from billing.core.money import minor_digits
from billing.core.periods import add_months
from storage import catalogue, journal
from storage.tables import Invoice


def entries(session: Session, month: date, *, payments: bool = False) -> list[JournalEntry]:
    """One balanced entry for each document that bears a day of the month, and with `payments` for each payment.

    Raises Refused where an account is not declared, and Invalid where a document does not balance.
    """
    seller = catalogue.seller(session)
    accounts = Accounts.from_entry({} if seller is None else seller.accounting)
    end = add_months(month, 1)
    found = [entry_of(document, accounts) for document in _documents(session, month, end)]
    if payments:
        found += [entry_of_money(money, accounts) for money in _money(session, month, end)]
    return found


def totals(found: list[JournalEntry]) -> dict[str, tuple[int, int]]:
    """Debits and credits by currency, in minor units."""
    summed: dict[str, tuple[int, int]] = {}
    for entry in found:
        debit, credit = summed.get(entry.currency, (0, 0))
        debit += sum(posting.debit_minor for posting in entry.postings)
        credit += sum(posting.credit_minor for posting in entry.postings)
        summed[entry.currency] = debit, credit
    return summed


def _documents(session: Session, first: date, end: date) -> list[Document]:
    invoices = journal.documents(session, first, end)
    own = journal.accounts_of_charges(session)
    lines: dict[int, list[Line]] = {}
    for row in journal.lines(session, first, end):
        account = None if row.charge_id is None else own.get(row.charge_id)
        lines.setdefault(row.invoice_id, []).append(Line(account=account, net_minor=row.net_minor))
    vat: dict[int, list[Vat]] = {}
    for total in journal.vat(session, [invoice.id or 0 for invoice in invoices]):
        vat.setdefault(total.invoice_id, []).append(
            Vat(category=total.category, rate=total.rate, vat_minor=total.vat_minor)
        )
    return [
        Document(
            number=invoice.number or "",
            kind=cast("Any", invoice.kind),
            issued_on=invoice.issued_on,
            currency=invoice.currency,
            minor_digits=invoice.minor_digits,
            customer=_reference(invoice.buyer),
            customer_name=str(invoice.buyer.get("name", "")),
            gross_minor=invoice.gross_minor,
            lines=lines.get(invoice.id or 0, []),
            vat=vat.get(invoice.id or 0, []),
        )
        for invoice in invoices
    ]


def _money(session: Session, first: date, end: date) -> list[Money]:
    received = [
        Money(
            name=contract.name,
            kind="advance",
            reference=advance.reference,
            paid_on=advance.paid_on,
            currency=contract.currency,
            minor_digits=minor_digits(contract.currency),
            customer=customer.reference,
            customer_name=str(customer.party.get("name", "")),
            amount_minor=advance.amount_minor,
        )
        for advance, contract, customer in journal.advances(session, first, end)
    ]
    return received + [
        Money(
            name=invoice.number or "",
            kind=_kind(invoice),
            reference=payment.reference,
            paid_on=payment.paid_on,
            currency=invoice.currency,
            minor_digits=invoice.minor_digits,
            customer=_reference(invoice.buyer),
            customer_name=str(invoice.buyer.get("name", "")),
            amount_minor=payment.amount_minor,
            from_advance=payment.advance_id is not None,
        )
        for payment, invoice in journal.payments(session, first, end)
    ]


def _kind(invoice: Invoice) -> Any:
    return invoice.kind


def _reference(party: Mapping[str, Any]) -> str:
    return str(party.get("reference", ""))
