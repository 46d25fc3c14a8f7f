"""What an electronic invoice states, in the terms of EN 16931 (BT and BG numbers), from what was issued.

The law: nothing is computed anew. Amounts are the issued ones; a quantity or price that no decimal number can say is
given with as many digits as bring back the issued amount.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing.core.errors import Invalid
from billing.core.money import format_minor, round_half_away
from storage.invoices import InvoiceDocument, LineDocument, VatDocument

DAY = timedelta(days=1)
DIGITS = 10
"""Decimals of a quantity or a price that has no end."""
MOST_DECIMALS = 2
"""EN 16931 states amounts with two decimals at most (BR-DEC-01 and the like)."""
INVOICE, CREDIT_NOTE = "380", "381"
"""UNTDID 1001, BT-3."""
LINES_OF_ADDRESS = 3
ONE = ("", "C62")
"""No unit, and its code of UN/ECE Recommendation 20."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Seller (BG-4) or buyer (BG-7)."""

    name: str
    country: str
    vat_number: str | None
    legal_id: str | None
    address: tuple[str, ...]
    city: str | None
    postcode: str | None
    endpoint: tuple[str, str] | None
    """Scheme of the CEF list of electronic addresses (EAS) and the address, BT-34 and BT-49."""
    iban: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An invoice line (BG-25); the price is never below zero, so a negative amount has a negative quantity."""

    position: int
    name: str
    charge: str
    """What the name begins with: its subscription and charge, which the seller named."""
    component: str
    """The part of the charge's price, in the engine's words; the name has it where it tells something."""
    adjustment: bool
    quantity: Decimal
    unit: str
    unit_code: str
    price: Decimal
    net: str
    vat_category: str
    vat_rate: Decimal
    starts_on: date
    last_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Vat:
    """One category and rate (BG-23)."""

    category: str
    rate: Decimal
    base: str
    amount: str
    reason: str | None
    code: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EInvoice:
    """The whole document; amounts as decimal text in the currency's major unit, days inclusive."""

    number: str
    type_code: str
    issued_on: date
    due_on: date
    currency: str
    seller: Party
    buyer: Party
    buyer_reference: str
    contract: str
    note: str
    lacking: tuple[date, date | None] | None
    """The days (UTC) between which usage may be missing, or since when."""
    corrects: tuple[str, ...]
    starts_on: date
    last_on: date
    lines: tuple[Line, ...]
    vat: tuple[Vat, ...]
    net: str
    vat_total: str
    gross: str
    prepaid: str
    """What was paid before it was issued (BT-113)."""
    payable: str
    """The amount due for payment (BT-115)."""

    @property
    def has_prepaid(self) -> bool:
        """Whether something was paid before."""
        return self.payable != self.gross

    @property
    def credits(self) -> bool:
        """Whether it is a credit note."""
        return self.type_code == CREDIT_NOTE

    @property
    def outside_vat(self) -> bool:
        """Whether a line is outside the scope of VAT: no VAT number may stand then (BR-O-02)."""
        return any(line.vat_category == "O" for line in self.lines)


def require_en16931(document: InvoiceDocument) -> None:
    """Raise Invalid, with all that misses, where an electronic invoice would break a rule of EN 16931."""
    missing = list(_missing(document, _party(document.seller), _party(document.buyer)))
    if missing:
        raise Invalid(
            f"{document.number} cannot be an electronic invoice: {'; '.join(missing)}. The parties are frozen onto an "
            "invoice when it is issued: complete the catalogue, credit it with --rebill, and close again"
        )


def facts_of(document: InvoiceDocument) -> EInvoice:
    """The facts of an issued document. Raises Invalid for a draft."""
    if document.status != "issued":
        raise Invalid(f"{document.number} is a draft; approve it first, then it is a document")
    seller, buyer = _party(document.seller), _party(document.buyer)
    digits = document.minor_digits
    return EInvoice(
        number=document.number,
        type_code=CREDIT_NOTE if document.kind == "credit_note" else INVOICE,
        issued_on=document.issued_on,
        due_on=document.due_on,
        currency=document.currency,
        seller=seller,
        buyer=buyer,
        buyer_reference=str(document.buyer.get("reference", "")) or document.contract,
        contract=document.contract,
        note=document.reason,
        lacking=_lacking(document),
        corrects=document.corrects,
        starts_on=min((line.period_starts_on for line in document.lines), default=document.month_starts_on),
        last_on=max((line.period_ends_on for line in document.lines), default=document.month_ends_on) - DAY,
        lines=tuple(_line(line, digits) for line in document.lines),
        vat=tuple(_vat(total, digits) for total in document.vat),
        net=_stated(document.net_minor, digits),
        vat_total=_stated(document.vat_minor, digits),
        gross=_stated(document.gross_minor, digits),
        prepaid=_stated(document.prepaid_minor, digits),
        payable=_stated(document.gross_minor - document.prepaid_minor, digits),
    )


def _lacking(document: InvoiceDocument) -> tuple[date, date | None] | None:
    if not document.incomplete:
        return None
    since = min(datetime.fromisoformat(row["from"]).date() for row in document.incomplete)
    ends = [row["until"] for row in document.incomplete]
    return since, None if "" in ends else max(datetime.fromisoformat(end).date() for end in ends)


def _stated(minor: int, digits: int) -> str:
    """An amount as decimal text: with the currency's decimals, without a third one that says nothing (BR-DEC)."""
    text = format_minor(minor, digits)
    for _ in range(digits - MOST_DECIMALS):
        text = text.removesuffix("0")
    return text


def decimal_of(value: Fraction) -> Decimal:
    """The number as decimals, all of them where they end, else the first ten."""
    scaled = round_half_away(value * 10**DIGITS)
    return Decimal(scaled).scaleb(-DIGITS).normalize() + 0


def _line(line: LineDocument, digits: int) -> Line:
    quantity, price = line.quantity, line.unit_price
    if price < 0:
        quantity, price = -quantity, -price
    told_quantity, told_price = decimal_of(quantity), decimal_of(price)
    unit, code = line.unit, line.unit_code
    if round_half_away(Fraction(told_quantity) * Fraction(told_price) * 10**digits) != line.net_minor:
        # Shares of a line that no quantity at this price gives: it is stated as what it comes to.
        net = Fraction(line.net_minor, 10**digits)
        told_quantity, told_price = Decimal(-1 if net < 0 else 1), decimal_of(abs(net))
        unit, code = ONE
    return Line(
        position=line.position,
        name=line.label,
        charge=f"{line.subscription} / {line.charge}",
        component=line.component,
        adjustment=line.adjustment,
        quantity=told_quantity,
        unit=unit,
        unit_code=code,
        price=told_price,
        net=_stated(line.net_minor, digits),
        vat_category=line.vat_category,
        vat_rate=decimal_of(line.vat_rate),
        starts_on=line.period_starts_on,
        last_on=line.period_ends_on - DAY,
    )


def _vat(total: VatDocument, digits: int) -> Vat:
    return Vat(
        category=total.category,
        rate=decimal_of(total.rate),
        base=_stated(total.base_minor, digits),
        amount=_stated(total.vat_minor, digits),
        reason=total.exemption_reason,
        code=total.exemption_code,
    )


def _party(party: Mapping[str, Any]) -> Party:
    address = party.get("electronic_address")
    scheme, found, endpoint = str(address or "").partition(":")
    return Party(
        name=str(party.get("name", "")),
        country=str(party.get("country", "")),
        vat_number=party.get("vat_number"),
        legal_id=party.get("legal_id"),
        address=tuple(party.get("address", ()))[:LINES_OF_ADDRESS],
        city=party.get("city"),
        postcode=party.get("postcode"),
        endpoint=(scheme, endpoint) if found else None,
        iban=party.get("iban"),
    )


def _missing(document: InvoiceDocument, seller: Party, buyer: Party) -> Iterator[str]:
    """What EN 16931 asks for and was not there when it was issued, each with its rule."""
    categories = {total.category for total in document.vat}
    if not seller.name or not buyer.name:
        yield "the seller and the customer need a name (BR-06, BR-07)"
    if not (seller.vat_number or seller.legal_id):
        yield "the seller needs a vat_number or a legal_id (BR-CO-26)"
    if categories - {"O"} and not seller.vat_number:
        yield "the seller needs a vat_number (BR-S-02 and the like)"
    if categories & {"AE", "K"} and not buyer.vat_number:
        yield "the customer needs a vat_number for a reverse charge or an intra-Community supply (BR-AE-02, BR-IC-02)"
    if "O" in categories and len(document.vat) > 1:
        yield "what is outside the scope of VAT needs an invoice of its own (BR-O-11)"
    amounts = [document.net_minor, document.vat_minor, document.gross_minor, *(it.net_minor for it in document.lines)]
    surplus = 10 ** max(document.minor_digits - MOST_DECIMALS, 0)
    if any(amount % surplus for amount in amounts):
        yield f"an amount in {document.currency} has three decimals, and EN 16931 states two (BR-DEC-12)"
