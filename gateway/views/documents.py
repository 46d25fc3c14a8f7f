"""How an invoice, a credit note and a close are shown as rows and as JSON: amounts as decimal text."""

from datetime import timedelta
from fractions import Fraction
from typing import Any

from billing.closing.run import CloseReport
from billing.core.money import exact_text, format_minor, minor_digits
from billing.core.payments import Balance
from storage.advances import AdvanceRow
from storage.invoices import InvoiceDocument, InvoiceSummary, LineDocument

DAY = timedelta(days=1)


def balance_row(balance: Balance, digits: int) -> dict[str, object]:
    """What was paid, credited and is still due, as decimal text, and the state in one word."""
    return {
        "paid": format_minor(balance.paid_minor, digits),
        "credited": format_minor(balance.credited_minor, digits),
        "due": format_minor(balance.due_minor, digits),
        "state": balance.state,
    }


def advance_row(row: AdvanceRow) -> dict[str, Any]:
    """What was paid before it was invoiced, what invoices took of it, and what is left."""
    digits = minor_digits(row.currency)
    return {
        "contract": row.contract,
        "paid_on": row.advance.paid_on,
        "reference": row.advance.reference,
        "currency": row.currency,
        "amount": format_minor(row.advance.amount_minor, digits),
        "taken": format_minor(row.taken_minor, digits),
        "left": format_minor(row.left_minor, digits),
    }


def summary(invoice: "InvoiceDocument | InvoiceSummary") -> dict[str, object]:
    """One row for an invoice, amounts as decimal text."""
    digits = invoice.minor_digits
    return {
        "number": invoice.number,
        "kind": invoice.kind,
        "contract": invoice.contract,
        "part": ": ".join(filter(None, invoice.part)),
        "issued_on": invoice.issued_on,
        "due_on": invoice.due_on,
        "currency": invoice.currency,
        "net": format_minor(invoice.net_minor, digits),
        "vat": format_minor(invoice.vat_minor, digits),
        "total": format_minor(invoice.gross_minor, digits),
    }


def price_text(price: Fraction, digits: int) -> str:
    """A price with every digit it has, and at least those of the currency: 2.50, 0.0375."""
    text = exact_text(price)
    whole, _, decimals = text.partition(".")
    return text if "/" in text or not digits else f"{whole}.{decimals.ljust(digits, '0')}"


def line_rows(document: InvoiceDocument) -> list[dict[str, Any]]:
    """The lines of an invoice as rows for a table."""
    return [line_row(line, document.minor_digits) for line in document.lines]


def line_row(line: LineDocument, digits: int) -> dict[str, Any]:
    """One line as a row."""
    return {
        "line": line.position,
        "label": line.label,
        "from": line.period_starts_on,
        "to": line.period_ends_on - DAY,
        "objects": line.object_count,
        "quantity": exact_text(line.quantity),
        "unit": line.unit,
        "unit_price": price_text(line.unit_price, digits),
        "vat": f"{exact_text(line.vat_rate)} %",
        "net": format_minor(line.net_minor, digits),
    }


def vat_rows(document: InvoiceDocument) -> list[dict[str, Any]]:
    """The VAT of an invoice, a row per category and rate."""
    return [
        {
            "category": total.category,
            "rate": exact_text(total.rate),
            "base": format_minor(total.base_minor, document.minor_digits),
            "vat": format_minor(total.vat_minor, document.minor_digits),
            "exemption_reason": total.exemption_reason,
            "exemption_code": total.exemption_code,
        }
        for total in document.vat
    ]


def document_json(document: InvoiceDocument, balance: Balance | None) -> dict[str, Any]:
    """The whole document for a program; a draft has no balance."""
    return (
        summary(document)
        | ({} if balance is None else balance_row(balance, document.minor_digits))
        | {
            "status": document.status,
            "purpose": document.purpose,
            "reason": document.reason,
            "incomplete": document.incomplete,
            "seller": document.seller,
            "buyer": document.buyer,
            "corrects": document.corrects,
            "lines": line_rows(document),
            "vat_breakdown": vat_rows(document),
        }
    )


def close_json(report: CloseReport) -> dict[str, Any]:
    """What a close issued, or would issue."""
    return {
        "until": report.until,
        "dry_run": report.dry_run,
        "invoices": [summary(each) for each in report.invoices],
        "drafts": [summary(each) for each in report.drafts],
        "unbilled": [each.as_json() for each in report.unbilled],
        "unpriced": [each.as_json() for each in report.unpriced],
        "incomplete": [each.as_json() for each in report.incomplete],
        "held": [each.as_json() for each in report.held],
        "failures": [
            {"contract": it.contract, "month": it.month_starts_on, "message": it.message} for it in report.failures
        ],
    }
