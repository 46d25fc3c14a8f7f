"""Invoices and credit notes: the list, and one whole."""

from datetime import date

from starlette.responses import Response

from billing.access import Permission
from billing.core.errors import Invalid
from billing.payments import balance_of
from console.asking import Ask, Page
from storage import browsing
from storage import invoices as stored
from storage.browsing import DocumentFilter, DocumentRow
from storage.tables import INVOICE_KINDS, INVOICE_STATUSES

ROWS = 50


def show_list(ask: Ask) -> Response:
    """A page of the documents, the newest first."""
    wanted = DocumentFilter(
        search=ask.typed("search"),
        status=ask.typed("status"),
        kind=ask.typed("kind"),
        contract=ask.typed("contract"),
        customer=ask.typed("customer"),
        month=_month(ask.typed("month")),
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


def _month(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise Invalid(f"{text[:20]!r} is not a month; write it as 2022-04") from None


def _key(row: DocumentRow) -> str:
    return f"{row.month_starts_on.isoformat()}.{row.id}"


def _before(text: str) -> tuple[date, int] | None:
    month, _, identity = text.partition(".")
    try:
        return (date.fromisoformat(month), int(identity)) if text else None
    except ValueError:
        raise Invalid(f"{text[:30]!r} is no place in the list; begin at its first page") from None


def show(ask: Ask) -> Response:
    """One document: its parties, lines, VAT, and what is still due."""
    number = ask.part("number")
    with ask.house.database.snapshot() as session:
        document = stored.invoice_document(session, number)
        issued = document.status == "issued"
        balance = balance_of(session, number, ask.now.date()) if issued else None
    return ask.page("invoice.html", document=document, balance=balance)


PAGES = (
    Page(path="/invoices", show=show_list, needs=Permission.READ_BILLING),
    Page(path="/invoices/{number:path}", show=show, needs=Permission.READ_BILLING),
)
