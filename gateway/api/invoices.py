"""Invoices and credit notes: listed, shown, taken away in every form, credited, paid, approved."""

import tempfile
from collections.abc import Generator, Mapping, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from sqlmodel import Session
from starlette.background import BackgroundTask

from billing.access import Permission, Principal
from billing.approving import approve, void
from billing.core.money import exact_text, format_minor
from billing.crediting import Credit
from billing.crediting import credit as issue_credit_note
from billing.payments import balance_of, record_payment
from billing.wire import read_as
from gateway.api.documents import (
    ApprovalTried,
    ApproveBody,
    Approved,
    Balance,
    CreditBody,
    Document,
    Line,
    Listed,
    Payment,
    PaymentBody,
    Tried,
    VoidBody,
    Voided,
)
from gateway.api.months import first_day
from gateway.documents.writing import SUFFIXES, Form, document_bytes
from gateway.extraction import Level, detail_texts, export_invoice
from gateway.views.documents import balance_row, document_json, price_text
from gateway.web.bodies import Raw, accepts
from gateway.web.endpoints import allowed, router
from gateway.web.idempotent import Key, once, tried
from gateway.web.paging import PAGE_LIMIT, Cursor, Limit, Page, cursor_of, place_of
from gateway.web.security import needs
from gateway.web.service import Behind
from gateway.web.streaming import Streamed
from storage import invoices as stored
from storage import payments as paid
from storage.browsing import DocumentFilter, DocumentRow, documents
from storage.listing import line_positions
from storage.tables import InvoiceLine

DAY = timedelta(days=1)
MEDIA: Mapping[str, str] = MappingProxyType(
    {
        "csv": "text/csv; charset=utf-8",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "jsonl": "application/x-ndjson",
        "pdf": "application/pdf",
        "factur-x": "application/pdf",
        "ubl": "application/xml",
    }
)
MONTH = r"^[0-9]{4}-(0[1-9]|1[0-2])$"
READS = allowed(Permission.READ_BILLING)
Billing = Annotated[Principal, Depends(needs(Permission.INVOICES))]
invoices = router("invoices")


@invoices.get("/invoices", operation_id="list_invoices", dependencies=READS)
def list_invoices(
    behind: Behind,
    status: Literal["draft", "issued"] = "issued",
    kind: Literal["invoice", "credit_note"] | None = None,
    contract: str | None = None,
    customer: str | None = None,
    month: Annotated[str | None, Query(pattern=MONTH, description="The billing month, as 2022-04.")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[Listed]:
    """Invoices and credit notes, the newest month first; or the drafts that wait for approval."""
    place = place_of(cursor, str, int)
    wanted = DocumentFilter(
        status=status,
        kind=kind or "",
        contract=contract or "",
        customer=customer or "",
        month=None if month is None else first_day(month),
    )
    before = None if place is None else (first_day(place[0]), place[1])
    with behind.database.snapshot() as session:
        found = documents(session, wanted, before=before, limit=limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    return Page(
        items=[_listed(row) for row in found[:limit]],
        next_cursor=None if last is None else cursor_of(f"{last.month_starts_on:%Y-%m}", last.id),
    )


def _listed(row: DocumentRow) -> Listed:
    digits = row.minor_digits
    return Listed(
        number=row.name,
        kind=row.kind,
        purpose=row.purpose,
        status=row.status,
        contract=row.contract,
        customer=row.customer,
        month=f"{row.month_starts_on:%Y-%m}",
        issued_on=row.issued_on,
        due_on=row.due_on,
        currency=row.currency,
        net=format_minor(row.net_minor, digits),
        vat=format_minor(row.gross_minor - row.net_minor, digits),
        total=format_minor(row.gross_minor, digits),
    )


@invoices.get("/invoices/{number:path}/lines", operation_id="list_lines", dependencies=READS)
def list_lines(number: str, behind: Behind, cursor: Cursor = None, limit: Limit = 100) -> Page[Line]:
    """The lines of a document in their order."""
    (after,) = place_of(cursor, int) or (0,)
    with behind.database.snapshot() as session:
        invoice, _ = stored.find_invoice(session, number)
        found = line_positions(session, invoice, after=after, limit=limit + 1)
        digits = invoice.minor_digits
    return Page(
        items=[_line(row, digits) for row in found[:limit]],
        next_cursor=cursor_of(found[limit - 1].position) if len(found) > limit else None,
    )


def _line(row: InvoiceLine, digits: int) -> Line:
    return Line(
        line=row.position,
        label=row.label,
        starts_on=row.period_starts_on,
        ends_on=row.period_ends_on - DAY,
        objects=row.object_count,
        quantity=exact_text(row.quantity),
        unit=row.unit,
        unit_price=price_text(row.unit_price, digits),
        vat=f"{exact_text(row.vat_rate)} %",
        net=format_minor(row.net_minor, digits),
    )


@invoices.get(
    "/invoices/{number:path}/detail",
    operation_id="invoice_detail",
    dependencies=READS,
    response_class=Response,
    responses={200: {"content": {MEDIA[form]: {"schema": {"type": "string"}} for form in ("jsonl", "csv", "xlsx")}}},
)
def invoice_detail(
    number: str,
    behind: Behind,
    format: Literal["jsonl", "csv", "xlsx"] = "jsonl",  # noqa: A002 - the word of the command line
    level: Level = "schedule",
) -> Response:
    """The detail: a row per object, charge and period, or per usage record; JSON lines are streamed."""
    with behind.database.snapshot() as session:
        stored.find_invoice(session, number)
    if format == "jsonl":
        return Streamed(_streamed(behind, number, level), behind.streams, media_type=MEDIA["jsonl"])
    with tempfile.NamedTemporaryFile(prefix="metergate-", suffix=f".{format}", delete=False) as made:
        target = Path(made.name)
    try:
        with behind.database.snapshot() as session:
            export_invoice(session, number, target, format, level)
    except BaseException:
        target.unlink()
        raise
    name = f"{number.replace('/', '-')}.{format}"
    return FileResponse(target, media_type=MEDIA[format], filename=name, background=BackgroundTask(target.unlink))


def _streamed(behind: Behind, number: str, level: Level) -> Generator[str, None, None]:
    with behind.database.snapshot() as session:
        yield from detail_texts(session, number, level)


@invoices.get(
    "/invoices/{number:path}/document",
    operation_id="invoice_document",
    dependencies=READS,
    response_class=Response,
    responses={
        200: {
            "content": {
                kind: {"schema": {"type": "string", "format": "binary"}}
                for kind in ("application/pdf", "application/xml")
            }
        }
    },
)
def invoice_document(
    number: str,
    behind: Behind,
    format: Form = "pdf",  # noqa: A002 - the word of the command line
    language: Literal["en", "fr"] = "en",
    *,
    annex: Annotated[bool, Query(description="In a PDF, what each object comes to.")] = False,
) -> Response:
    """The document that the customer receives; made once and kept, so that the same bytes come back."""
    content = document_bytes(behind.database, number, format, language=language, annex=annex, now=behind.clock.now())
    name = number.replace("/", "-") + SUFFIXES[format]
    headers = {"Content-Disposition": f'attachment; filename="{name}"'} if name.isascii() else {}
    return Response(content, media_type=MEDIA[format], headers=headers)


@invoices.get("/invoices/{number:path}/payments", operation_id="list_payments", dependencies=READS)
def list_payments(number: str, behind: Behind) -> list[Payment]:
    """What was paid of a document, in the order of the days."""
    with behind.database.snapshot() as session:
        invoice, _ = stored.find_invoice(session, number)
        return [
            Payment(
                paid_on=row.paid_on,
                amount=format_minor(row.amount_minor, invoice.minor_digits),
                reference=row.reference,
                origin=row.origin,
            )
            for row in paid.of_document(session, invoice.id or 0)
        ]


@invoices.post(
    "/invoices/{number:path}/payments",
    operation_id="record_payment",
    status_code=201,
    response_model=Balance,
    openapi_extra=accepts(PaymentBody),
)
def pay(number: str, raw: Raw, behind: Behind, who: Billing, request: Request, key: Key = None) -> JSONResponse:
    """Record what was paid of an invoice, or paid out for a credit note; the same reference again changes nothing."""

    def work(session: Session) -> Balance:
        body = read_as(PaymentBody, raw)
        now = behind.clock.now()
        balance = record_payment(
            session,
            number,
            amount=Fraction(body.amount),
            paid_on=body.paid_on or now.date(),
            reference=body.reference,
            now=now,
            origin=f"api:{who.name}",
        )
        invoice, _ = stored.find_invoice(session, number)
        row = balance_row(balance, invoice.minor_digits)
        return Balance.model_validate({"number": number, "currency": invoice.currency, **row})

    return once(behind, request, who, key, raw, work, status=201)


@invoices.post(
    "/invoices/{number:path}/credit-notes",
    operation_id="credit_invoice",
    status_code=201,
    response_model=Document,
    responses={200: {"model": Tried, "description": "The credit note that would be issued, with `dry_run`."}},
    openapi_extra=accepts(CreditBody),
)
def credit(number: str, raw: Raw, behind: Behind, who: Billing, request: Request, key: Key = None) -> JSONResponse:
    """Issue a credit note for an invoice; the same reference again gives the same credit note."""

    def work(session: Session) -> Document:
        number_of_note = _credited(session, number, raw, behind.clock.now())
        return _document(session, number_of_note, _today(behind))

    if raw.get("dry_run") is True:
        return tried(behind, lambda session: _tried(session, _credited(session, number, raw, behind.clock.now())))
    return once(behind, request, who, key, raw, work, status=201)


def _credited(session: Session, number: str, raw: Mapping[str, Any], now: datetime) -> str:
    body = read_as(CreditBody, raw)
    asked = Credit(
        lines=tuple(body.lines),
        amount=None if body.amount is None else Fraction(body.amount),
        percent=None if body.percent is None else Fraction(body.percent),
        reason=body.reason,
        rebill=body.rebill,
        reference=body.reference,
    )
    return issue_credit_note(session, number, asked, now)


@invoices.post(
    "/drafts/{draft:path}/approve",
    operation_id="approve_draft",
    response_model=Approved | ApprovalTried,
    openapi_extra=accepts(ApproveBody),
)
def approve_draft(
    draft: str, raw: Raw, behind: Behind, who: Billing, request: Request, key: Key = None
) -> JSONResponse:
    """Issue a draft as it stands, with all drafts of its contract and month."""

    def numbers(session: Session) -> Sequence[str]:
        body = read_as(ApproveBody, raw)
        total = None if body.total is None else Fraction(body.total)
        return approve(session, draft, behind.clock.now(), total=total)

    def work(session: Session) -> Approved:
        found = [_document(session, number, _today(behind)) for number in numbers(session)]
        return Approved(draft=draft, invoices=found)

    def look(session: Session) -> ApprovalTried:
        found = [_tried(session, number) for number in numbers(session)]
        return ApprovalTried(draft=draft, dry_run=True, invoices=found)

    return tried(behind, look) if raw.get("dry_run") is True else once(behind, request, who, key, raw, work)


@invoices.post(
    "/drafts/{draft:path}/void", operation_id="void_draft", response_model=Voided, openapi_extra=accepts(VoidBody)
)
def void_draft(draft: str, raw: Raw, behind: Behind, who: Billing, request: Request, key: Key = None) -> JSONResponse:
    """Close the month of a draft without it: what was on it goes on the next invoice."""

    def work(session: Session) -> Voided:
        read_as(VoidBody, raw)
        void(session, draft, behind.clock.now())
        return Voided(draft=draft)

    return once(behind, request, who, key, raw, work)


@invoices.get("/invoices/{number:path}", operation_id="show_invoice", dependencies=READS)
def show_invoice(number: str, behind: Behind) -> Document:
    """One document: its parties, its VAT, its total and what is still due; lines and detail are lists of their own."""
    with behind.database.snapshot() as session:
        return _document(session, number, _today(behind))


def _tried(session: Session, number: str) -> Tried:
    """The document as it stands in a transaction that is taken back."""
    document = stored.invoice_document(session, number, lines_limit=0)
    invoice, _ = stored.find_invoice(session, number)
    lines = [_line(row, invoice.minor_digits) for row in line_positions(session, invoice, after=0, limit=PAGE_LIMIT)]
    return Tried.model_validate(document_json(document, None) | {"lines": lines})


def _today(behind: Behind) -> date:
    return behind.clock.now().date()


def _document(session: Session, number: str, today: date) -> Document:
    document = stored.invoice_document(session, number, lines_limit=0)
    balance = balance_of(session, number, today) if document.status == "issued" else None
    return Document.model_validate(document_json(document, balance))
