"""Invoices and credit notes: the list, and one whole with what can be done about it."""

import secrets
from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from billing import approving
from billing.access import Permission
from billing.core.errors import Invalid
from billing.crediting import Credit, credit
from billing.payments import balance_of, record_payment
from console.asking import Ask, Page
from console.languages import noted
from storage import browsing, drilling
from storage import invoices as stored
from storage import payments as paid
from storage.browsing import DocumentFilter, DocumentRow
from storage.tables import INVOICE_KINDS, INVOICE_STATUSES

ROWS = 50
LINES_SHOWN = 200
"""A contract may ask for a line per object; the downloads have them all."""
DIGITS = 20
DOCUMENTS = (("pdf", "PDF"), ("factur-x", "Factur-X"), ("ubl", "UBL"))
DETAILS = (("csv", "CSV"), ("xlsx", "Excel"))


def show_list(ask: Ask) -> Response:
    """A page of the documents, the newest first."""
    wanted = DocumentFilter(
        search=ask.typed("search"),
        status=ask.typed("status"),
        kind=ask.typed("kind"),
        contract=ask.typed("contract"),
        customer=ask.typed("customer"),
        month=_month(ask),
    )
    with ask.house.database.snapshot() as session:
        rows = browsing.documents(session, wanted, before=_before(ask.typed("before")), limit=ROWS + 1)
    more = len(rows) > ROWS
    rows = rows[:ROWS]
    return ask.page(
        "invoices.html",
        rows=rows,
        wanted=wanted,
        kinds=INVOICE_KINDS,
        statuses=INVOICE_STATUSES,
        next_page=ask.here(before=_key(rows[-1])) if more else None,
        first_page=ask.here(before=None) if ask.typed("before") else None,
    )


def _month(ask: Ask) -> date | None:
    text = ask.typed("month")
    if not text:
        return None
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise ask.wrong(noted("“%(text)s” is not a month; write it as 2022-04."), text=text[:20]) from None


def _key(row: DocumentRow) -> str:
    return f"{row.month_starts_on.isoformat()}.{row.id}"


def _before(text: str) -> tuple[date, int] | None:
    month, _, identity = text.partition(".")
    try:
        return (date.fromisoformat(month), int(identity)) if text else None
    except ValueError:
        raise Invalid(f"{text[:30]!r} is no place in the list; begin at its first page") from None


def show(ask: Ask, *, note: Any = None) -> Response:
    """One document: its lines beside the month before, VAT, what is still due, and what can be done."""
    number = ask.part("number")
    with ask.house.database.snapshot() as session:
        document = stored.invoice_document(session, number, lines_limit=LINES_SHOWN)
        row, _ = stored.find_invoice(session, number)
        issued = document.status == "issued"
        before = drilling.month_before(session, row) if document.kind == "invoice" else None
        values: dict[str, Any] = {
            "document": document,
            "lines": document.lines,
            "line_count": stored.line_count(session, number),
            "balance": balance_of(session, number, ask.now.date()) if issued else None,
            "before": before,
            "changes": _changes(
                drilling.net_by_charge(session, row.id or 0),
                drilling.net_by_charge(session, before.id or 0) if before is not None else {},
            ),
            "notes": drilling.notes_of(session, row.id or 0),
            "payments": paid.of_document(session, row.id or 0),
        }
    return ask.page(
        "invoice.html",
        **values,
        downloads=downloads(number, ask.language.tag),
        reference=f"console-{secrets.token_hex(6)}",
        today=ask.now.date(),
        note=note,
    )


def downloads(number: str, language: str) -> list[tuple[str, str]]:
    """Where the API hands out a document, in the forms that there are, and its detail: label and address."""
    of = f"/api/v1/invoices/{quote(number, safe='/')}"
    return [
        *((label, f"{of}/document?format={form}&language={language}") for form, label in DOCUMENTS),
        *((label, f"{of}/detail?format={form}") for form, label in DETAILS),
    ]


def _changes(
    now: Mapping[tuple[str, str], int], before: Mapping[tuple[str, str], int]
) -> list[tuple[str, str, int, int]]:
    """By subscription and charge: this document and the one before, the greatest difference first."""
    keys = now.keys() | before.keys()
    rows = [(*key, now.get(key, 0), before.get(key, 0)) for key in keys]
    return sorted(rows, key=lambda row: (-abs(row[2] - row[3]), row[0], row[1]))


# --- what can be done -------------------------------------------------------------------------------------


def _amount(ask: Ask, name: str) -> Fraction | None:
    text = ask.typed(name).replace(",", ".").removesuffix("%").strip()
    if not text:
        return None
    whole, _, decimals = text.partition(".")
    if not (text.isascii() and whole.isdigit() and len(text) <= DIGITS and (not decimals or decimals.isdigit())):
        raise ask.wrong(noted("“%(text)s” is not an amount; write it as 36.00."), text=text[:DIGITS])
    return Fraction(text)


def _pay(ask: Ask) -> Response:
    number, amount = ask.part("number"), _amount(ask, "amount")
    if amount is None:
        raise ask.wrong(noted("A payment has an amount; write it as 36.00."))
    with ask.house.database.transaction() as session:
        record_payment(
            session,
            number,
            amount=amount,
            paid_on=ask.day("on") or ask.now.date(),
            reference=ask.typed("reference"),
            now=ask.now,
            origin=ask.origin,
        )
    ask.house.wake()
    return ask.go(ask.path, ask.say(noted("The payment of %(number)s is recorded."), number=number))


def _credit_asked(ask: Ask) -> Credit:
    return Credit(
        lines=tuple(int(each) for each in ask.chosen("line") if each.isascii() and each.isdigit()),
        amount=_amount(ask, "amount"),
        percent=_amount(ask, "percent"),
        reason=ask.typed("reason"),
        rebill=bool(ask.typed("rebill")),
        reference=ask.typed("reference") or None,
    )


def _preview_credit(ask: Ask) -> Response:
    with ask.house.database.transaction() as session:
        number = credit(session, ask.part("number"), _credit_asked(ask), ask.now)
        note = stored.invoice_document(session, number, lines_limit=LINES_SHOWN)
        session.rollback()
    return show(ask, note=note)


def _credit(ask: Ask) -> Response:
    with ask.house.database.transaction() as session:
        number = credit(session, ask.part("number"), _credit_asked(ask), ask.now)
    ask.house.wake()
    done = ask.say(noted("%(number)s is issued."), number=number)
    return ask.go(f"/invoices/{quote(number, safe='/')}", done)


def _approve(ask: Ask) -> Response:
    with ask.house.database.transaction() as session:
        numbers = approving.approve(session, ask.part("number"), ask.now, total=_amount(ask, "total"))
    ask.house.wake()
    done = ask.say(noted("%(number)s is issued."), number=", ".join(numbers))
    return ask.go(f"/invoices/{quote(numbers[0], safe='/')}" if numbers else "/invoices", done)


def _void(ask: Ask) -> Response:
    number = ask.part("number")
    with ask.house.database.transaction() as session:
        approving.void(session, number, ask.now)
    return ask.go("/invoices", ask.say(noted("%(number)s is voided: what was on it is due again."), number=number))


PAGES = (
    Page(path="/invoices", show=show_list, needs=Permission.READ_BILLING),
    Page(
        path="/invoices/{number:path}",
        show=show,
        needs=Permission.READ_BILLING,
        actions={
            "pay": (Permission.INVOICES, _pay),
            "preview_credit": (Permission.INVOICES, _preview_credit),
            "credit": (Permission.INVOICES, _credit),
            "approve": (Permission.INVOICES, _approve),
            "void": (Permission.INVOICES, _void),
        },
    ),
)
