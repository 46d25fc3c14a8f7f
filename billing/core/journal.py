"""Journal entries of what was issued and paid: accounts, debits and credits, in minor units. Pure.

The law: an entry balances or is not made; nothing is computed anew, the amounts are those of the document.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any, Literal

from billing.core.errors import Invalid, Refused
from billing.core.money import exact_text

Kind = Literal["invoice", "credit_note", "payment", "advance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """The seller's accounts. `vat` is by category and rate (`S 20`), or by category alone (`S`)."""

    receivable: str
    revenue: str
    vat: Mapping[str, str] = field(default_factory=dict)
    bank: str | None = None
    advances: str | None = None

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> "Accounts":
        """From what is stored. Raises Refused where nothing was declared."""
        if not entry:
            raise Refused("the seller declares no accounts; add accounting with receivable, revenue and vat to it")
        return cls(**entry)

    def of_vat(self, category: str, rate: Fraction) -> str:
        """The account of VAT of a category and rate. Raises Refused where none is declared."""
        exact = f"{category} {exact_text(rate)}"
        found = self.vat.get(exact, self.vat.get(category))
        if found is None:
            raise Refused(f"no account is declared for the VAT {exact}; add it to the seller's accounting.vat")
        return found

    def of_money(self, which: Literal["bank", "advances"]) -> str:
        """The account of money received. Raises Refused where none is declared."""
        found = self.bank if which == "bank" else self.advances
        if found is None:
            raise Refused(f"no account is declared for payments; add {which} to the seller's accounting")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a document; `account` is its charge's own, if it names one. Below zero on an adjustment."""

    account: str | None
    net_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Vat:
    category: str
    rate: Fraction
    vat_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An issued invoice or credit note, which states positive amounts."""

    number: str
    kind: Literal["invoice", "credit_note"]
    issued_on: date
    currency: str
    minor_digits: int
    customer: str
    customer_name: str
    gross_minor: int
    lines: Sequence[Line]
    vat: Sequence[Vat]


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """What was received, or paid out for a credit note; of an `advance`, or settled from one (`from_advance`)."""

    name: str
    """The document's number, or the contract of an advance."""
    kind: Literal["invoice", "credit_note", "advance"]
    reference: str
    paid_on: date
    currency: str
    minor_digits: int
    customer: str
    customer_name: str
    amount_minor: int
    from_advance: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One side of an entry: a debit or a credit, above zero."""

    account: str
    debit_minor: int
    credit_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """Postings that balance."""

    journal: Literal["sales", "bank"]
    on: date
    document: str
    label: str
    customer: str
    currency: str
    minor_digits: int
    postings: tuple[Posting, ...]


def entry_of(document: Document, accounts: Accounts) -> JournalEntry:
    """The sales entry of a document: receivable against revenue and VAT, turned round for a credit note.

    Raises Refused where an account is missing, and Invalid where the document does not balance.
    """
    credited: dict[str, int] = {}
    for line in document.lines:
        account = line.account or accounts.revenue
        credited[account] = credited.get(account, 0) + line.net_minor
    for total in document.vat:
        if total.vat_minor:
            account = accounts.of_vat(total.category, total.rate)
            credited[account] = credited.get(account, 0) + total.vat_minor
    amounts = [(accounts.receivable, document.gross_minor), *((it, -minor) for it, minor in sorted(credited.items()))]
    sign = 1 if document.kind == "invoice" else -1
    word = "Invoice" if document.kind == "invoice" else "Credit note"
    return JournalEntry(
        journal="sales",
        on=document.issued_on,
        document=document.number,
        label=f"{word} {document.number} {document.customer_name}".strip(),
        customer=document.customer,
        currency=document.currency,
        minor_digits=document.minor_digits,
        postings=_balanced(document.number, ((account, sign * minor) for account, minor in amounts)),
    )


def entry_of_money(money: Money, accounts: Accounts) -> JournalEntry:
    """The bank entry of a payment; one that comes from an advance moves it to the receivable."""
    taken = accounts.of_money("advances" if money.from_advance else "bank")
    against = accounts.of_money("advances") if money.kind == "advance" else accounts.receivable
    minor = -money.amount_minor if money.kind == "credit_note" else money.amount_minor
    word = "Advance" if money.kind == "advance" else "Payment"
    return JournalEntry(
        journal="bank",
        on=money.paid_on,
        document=money.name,
        label=f"{word} {money.reference} {money.customer_name}".strip(),
        customer=money.customer,
        currency=money.currency,
        minor_digits=money.minor_digits,
        postings=_balanced(money.name, [(taken, minor), (against, -minor)]),
    )


def _balanced(name: str, amounts: Iterable[tuple[str, int]]) -> tuple[Posting, ...]:
    """Postings of amounts, debits above zero and credits below. Raises Invalid unless they add up to zero."""
    kept = [(account, minor) for account, minor in amounts if minor]
    off = sum(minor for _, minor in kept)
    if off:
        raise Invalid(f"{name} does not balance: it is off by {off} in minor units; `metergate verify` says more")
    return tuple(
        Posting(account=account, debit_minor=max(minor, 0), credit_minor=max(-minor, 0)) for account, minor in kept
    )
