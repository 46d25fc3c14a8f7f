"""The document that a person reads: PDF/A-3, laid out by Typst from `invoice.typ`; nothing is fetched to make it."""

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from billing.core.money import format_minor
from gateway.documents.facts import EInvoice, Party
from gateway.documents.language import Speech

STANDARD: Literal["a-3b"] = "a-3b"
EPC_CURRENCY = "EUR"
NAME_OF_PAYEE = 70
"""Characters of a name that the code has room for (EPC069-12)."""
EPC_MOST = Decimal("999999999.99")
"""The EPC quick response code carries euros up to this amount (EPC069-12)."""
Shares = Sequence[tuple[str, int]]
"""An object's reference ("" for none) and what it comes to, in minor units."""


def pdf(invoice: EInvoice, speech: Speech, minor_digits: int, annex: Shares | None = None) -> bytes:
    """The document as PDF/A-3; with an annex, what each object comes to."""
    import typst  # noqa: PLC0415 - a gateway that sets no page has no need of it

    code = payment_code(invoice)
    facts = _data(invoice, speech, minor_digits, annex, code=bool(code))
    with TemporaryDirectory(prefix="metergate-") as name:
        folder = Path(name)
        (folder / "data.json").write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")
        (folder / "code.svg").write_text(code, encoding="utf-8")
        page = folder / "invoice.typ"
        page.write_bytes(resources.files("gateway.documents").joinpath("invoice.typ").read_bytes())
        made: bytes = typst.compile(page, root=folder, format="pdf", pdf_standards=STANDARD, ignore_system_fonts=True)
    return made


def payment_code(invoice: EInvoice) -> str:
    """The EPC QR code of a SEPA credit transfer as SVG; empty where there is nothing to pay, or no account."""
    import segno  # noqa: PLC0415 - as above

    iban = (invoice.seller.iban or "").replace(" ", "")
    payable = not invoice.credits and iban and invoice.currency == EPC_CURRENCY
    if not payable or not 0 < Decimal(invoice.payable) <= EPC_MOST:
        return ""
    name, amount = invoice.seller.name[:NAME_OF_PAYEE], f"{EPC_CURRENCY}{invoice.payable}"
    lines = ("BCD", "002", "1", "SCT", "", name, iban, amount, "", "", invoice.number)
    svg: str = segno.make("\n".join(lines), error="m", encoding="utf-8", micro=False).svg_inline(border=0)
    return svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)


def _data(invoice: EInvoice, speech: Speech, digits: int, annex: Shares | None, *, code: bool) -> dict[str, Any]:
    words = speech.words
    facts = [
        (words.issued_on, speech.day(invoice.issued_on)),
        *([] if invoice.credits else [(words.due_on, speech.day(invoice.due_on))]),
        (words.period, speech.days(invoice.starts_on, invoice.last_on)),
        (words.contract, invoice.contract),
        (words.customer, invoice.buyer_reference),
        *((words.corrects, number) for number in invoice.corrects),
    ]
    total = words.credited if invoice.credits else words.payable
    paid = [(words.gross, speech.amount(invoice.gross)), (words.prepaid, speech.amount(f"-{invoice.prepaid}"))]
    seller = invoice.seller
    return {
        "language": speech.language,
        "title": words.credit_note if invoice.credits else words.invoice,
        "number": invoice.number,
        "date": {"year": invoice.issued_on.year, "month": invoice.issued_on.month, "day": invoice.issued_on.day},
        "words": {"seller": words.seller, "buyer": words.buyer},
        "seller": _party(seller, speech, outside_vat=invoice.outside_vat),
        "buyer": _party(invoice.buyer, speech, outside_vat=invoice.outside_vat),
        "facts": facts,
        "note": speech.noted(invoice.note, invoice.lacking),
        "headings": words.headings,
        "lines": [
            {
                "label": speech.label(line.name, line.charge, line.component, adjustment=line.adjustment),
                "period": speech.days(line.starts_on, line.last_on),
                "quantity": f"{speech.quantity(line.quantity)} {speech.unit(line.unit)}".strip(),
                "price": speech.price(line.price, digits),
                "vat": speech.percent(line.vat_rate),
                "net": speech.amount(line.net),
            }
            for line in invoice.lines
        ],
        "vat_headings": words.vat_headings,
        "vat": [
            (
                speech.percent(it.rate) + (f" \N{EN DASH} {it.reason}" if it.reason else ""),
                speech.amount(it.base),
                speech.amount(it.amount),
            )
            for it in invoice.vat
        ],
        "totals": [
            (words.net, speech.amount(invoice.net)),
            (words.vat, speech.amount(invoice.vat_total)),
            *(paid if invoice.has_prepaid else ()),
            (total, speech.amount(invoice.payable)),
        ],
        "payment": None
        if invoice.credits
        else {
            "heading": words.payment,
            "terms": words.terms.format(due=speech.day(invoice.due_on)),
            "rows": [
                *([("IBAN", _in_fours(seller.iban))] if seller.iban else []),
                (words.reference, invoice.number),
            ],
            "code": code,
            "alt": words.code,
        },
        "footer": " · ".join(_footer(seller, speech)),
        "annex": None
        if annex is None
        else {
            "heading": words.annex,
            "headings": words.annex_headings,
            "rows": [
                (reference or words.without_object, speech.amount(format_minor(minor, digits)))
                for reference, minor in annex
            ],
        },
    }


def _party(party: Party, speech: Speech, *, outside_vat: bool) -> dict[str, Any]:
    words = speech.words
    town = " ".join(part for part in (party.postcode, party.city) if part)
    country = speech.locale.territories.get(party.country, party.country)
    rows = [*party.address, town, country]
    if party.vat_number and not outside_vat:
        rows.append(f"{words.vat_number} {party.vat_number}")
    if party.legal_id:
        rows.append(f"{words.legal_id} {party.legal_id}")
    return {"name": party.name, "rows": [row for row in rows if row]}


def _footer(seller: Party, speech: Speech) -> Iterable[str]:
    yield seller.name
    if seller.legal_id:
        yield f"{speech.words.legal_id} {seller.legal_id}"
    if seller.vat_number:
        yield f"{speech.words.vat_number} {seller.vat_number}"


def _in_fours(iban: str) -> str:
    plain = iban.replace(" ", "")
    return " ".join(plain[at : at + 4] for at in range(0, len(plain), 4))
