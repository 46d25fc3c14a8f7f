"""How an invoice or a credit note is shown: as a row of a list, as JSON, as text for people."""

from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import click

from billing.core.money import exact_text, format_minor
from gateway.cli.output import show_table
from gateway.cli.paying import balance_row

if TYPE_CHECKING:
    from billing.core.payments import Balance
    from storage.invoices import InvoiceDocument, InvoiceSummary

DAY = timedelta(days=1)


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


def _part(document: "InvoiceDocument") -> str:
    return f", {': '.join(document.part)}" if document.part[1] else ""


def line_rows(document: "InvoiceDocument") -> list[dict[str, Any]]:
    """The lines of an invoice as rows for a table."""
    return [
        {
            "line": line.position,
            "label": line.label,
            "from": line.period_starts_on,
            "to": line.period_ends_on - DAY,
            "objects": line.object_count,
            "quantity": exact_text(line.quantity),
            "unit": line.unit,
            "unit_price": price_text(line.unit_price, document.minor_digits),
            "vat": f"{exact_text(line.vat_rate)} %",
            "net": format_minor(line.net_minor, document.minor_digits),
        }
        for line in document.lines
    ]


def vat_rows(document: "InvoiceDocument") -> list[dict[str, Any]]:
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


def document_json(document: "InvoiceDocument", balance: "Balance | None") -> dict[str, Any]:
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


def lacking_texts(document: "InvoiceDocument") -> list[str]:
    """What may be missing on it, a sentence for each reason."""
    return [
        f"usage may be incomplete ({row['reason']}, {row['gaps']} gaps): from {row['from']} to {row['until'] or 'now'}"
        for row in document.incomplete
    ]


def show_document(document: "InvoiceDocument", balance: "Balance | None") -> None:
    """The whole document for a person; a draft has no balance."""
    click.echo(f"{document.number} ({document.kind.replace('_', ' ')}), {document.contract}{_part(document)}")
    issued = "issued" if document.status == "issued" else "a draft that waits for approval, to be issued"
    click.echo(f"{issued} on {document.issued_on}, due on {document.due_on}")
    click.echo(f"{document.seller.get('name', '')} -> {document.buyer.get('name', '')}")
    if document.corrects:
        reason = f" ({document.purpose}): {document.reason}" if document.reason else ""
        click.echo(f"corrects {', '.join(document.corrects)}{reason}")
    for text in lacking_texts(document):
        click.echo(text)
    click.echo()
    rows = line_rows(document)
    show_table([key.replace("_", " ") for key in rows[0]], [list(row.values()) for row in rows])
    click.echo()
    for total in vat_rows(document):
        why = ", ".join(text for text in (total["exemption_reason"], total["exemption_code"]) if text)
        click.echo(f"VAT {total['rate']} % on {total['base']}: {total['vat']}{why and f' ({why})'}")
    figures = summary(document)
    click.echo(f"net {figures['net']}, VAT {figures['vat']}, total {figures['total']} {document.currency}")
    if balance is None:
        return
    state = balance_row(balance, document.minor_digits)
    click.echo(f"paid {state['paid']}, credited {state['credited']}, due {state['due']} ({state['state']})")
