"""Which document, made once and kept: the first hand-out stores it, every later one gives the same bytes.

The law: nobody waits for a page to be set. What a document says is read from one snapshot, it is made with no
transaction open, and one short transaction keeps it, unless another did so meanwhile.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal

from sqlmodel import Session

from gateway.documents.cii import cii
from gateway.documents.facts import EInvoice, facts_of, require_en16931
from gateway.documents.language import Language, Speech
from gateway.documents.pdf import Shares, pdf
from gateway.documents.ubl import ubl
from storage.database import Database
from storage.detail import share_batches
from storage.documents import DocumentKey, keep, kept
from storage.invoices import find_invoice, invoice_document

Form = Literal["pdf", "factur-x", "ubl"]
SUFFIXES: Mapping[Form, str] = MappingProxyType({"pdf": ".pdf", "factur-x": ".factur-x.pdf", "ubl": ".ubl.xml"})
NO_LANGUAGE = ""
"""Of what only programs read."""


def document_bytes(
    database: Database, number: str, form: Form, *, language: Language, annex: bool, now: datetime
) -> bytes:
    """A document of an issued invoice or credit note.

    Raises UnknownInvoice, and Invalid for a draft, or where an electronic invoice would break EN 16931.
    """
    printed = form != "ubl"
    with database.snapshot() as session:
        invoice, _ = find_invoice(session, number)
        key = DocumentKey(
            invoice_id=invoice.id or 0,
            form=form,
            language=language if printed else NO_LANGUAGE,
            annex=annex and printed,
        )
        if (found := kept(session, key)) is not None:
            return found
        document = invoice_document(session, number)
        facts = facts_of(document)
        if form != "pdf":
            require_en16931(document)
        shares = object_totals(session, number) if key.annex else None
    made = MAKERS[form](facts, Speech(language, document.currency), document.minor_digits, shares)
    with database.transaction() as session:
        return keep(session, key, made, now)


def object_totals(session: Session, number: str) -> list[tuple[str, int]]:
    """What each object comes to on an invoice, in minor units, by reference; they add up to its net amount."""
    totals: dict[str, int] = defaultdict(int)
    for batch in share_batches(session, number):
        for share in batch:
            totals[share[1]] += share[5]
    return sorted(totals.items())


def _factur_x(invoice: EInvoice, speech: Speech, minor_digits: int, annex: Shares | None) -> bytes:
    from facturx import generate_from_binary  # noqa: PLC0415 - 25 MiB with all that it brings, for one form of document

    made: bytes = generate_from_binary(
        pdf(invoice, speech, minor_digits, annex),
        cii(invoice),
        flavor="factur-x",
        level="en16931",
        check_xsd=True,
        lang=speech.language,
        pdf_metadata={
            "author": invoice.seller.name,
            "keywords": "Factur-X",
            "title": f"{invoice.seller.name}: {invoice.number}",
            "subject": f"{invoice.number}, {invoice.issued_on}",
        },
    )
    return made


def _ubl(invoice: EInvoice, _speech: Speech, _minor_digits: int, _annex: Shares | None) -> bytes:
    return ubl(invoice)


Maker = Callable[[EInvoice, Speech, int, Shares | None], bytes]
MAKERS: Mapping[Form, Maker] = MappingProxyType({"pdf": pdf, "factur-x": _factur_x, "ubl": _ubl})
