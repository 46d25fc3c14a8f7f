"""`metergate invoices`: read from storage."""

from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from billing.core.money import exact_text, format_minor
from gateway.cli.context import house
from gateway.cli.output import show_json, show_pieces, show_rows, show_table
from gateway.cli.paying import balance_row, pay

if TYPE_CHECKING:
    from gateway.extraction import Format, Level
    from storage.invoices import InvoiceDocument, InvoiceSummary

DAY = timedelta(days=1)


@click.group()
def invoices() -> None:
    """List, show, export, explain and pay invoices."""


invoices.add_command(pay)


def summary(invoice: "InvoiceDocument | InvoiceSummary") -> dict[str, object]:
    """One row for an invoice, amounts as decimal text."""
    digits = invoice.minor_digits
    return {
        "number": invoice.number,
        "kind": invoice.kind,
        "contract": invoice.contract,
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


@invoices.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(*, as_json: bool) -> None:
    """List the issued invoices and credit notes, with what is still due."""
    from billing.payments import all_balances
    from storage import invoices as store

    with house() as parts, parts.database.snapshot() as session:
        found = all_balances(session, parts.clock.now().date())
        rows = [
            summary(invoice) | balance_row(found[invoice.number], invoice.minor_digits)
            for invoice in store.list_invoices(session)
        ]
    show_rows(rows, as_json=as_json, nothing="No invoice was issued yet.")


@invoices.command()
@click.argument("number")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(number: str, *, as_json: bool) -> None:
    """Show one invoice: parties, lines, VAT, total, and what is still due."""
    from billing.payments import balance_of
    from storage import invoices as store

    with house() as parts, parts.database.snapshot() as session:
        document = store.invoice_document(session, number)
        balance = balance_row(balance_of(session, number, parts.clock.now().date()), document.minor_digits)
    digits = document.minor_digits
    vat = [
        {
            "category": total.category,
            "rate": exact_text(total.rate),
            "base": format_minor(total.base_minor, digits),
            "vat": format_minor(total.vat_minor, digits),
        }
        for total in document.vat
    ]
    if as_json:
        show_json(
            summary(document)
            | balance
            | {
                "seller": document.seller,
                "buyer": document.buyer,
                "corrects": document.corrects,
                "lines": line_rows(document),
                "vat_breakdown": vat,
            }
        )
        return
    click.echo(f"{document.number} ({document.kind.replace('_', ' ')}), {document.contract}")
    click.echo(f"issued on {document.issued_on}, due on {document.due_on}")
    click.echo(f"{document.seller.get('name', '')} -> {document.buyer.get('name', '')}")
    if document.corrects:
        click.echo(f"corrects {', '.join(document.corrects)}")
    click.echo()
    rows = line_rows(document)
    show_table([key.replace("_", " ") for key in rows[0]], [list(row.values()) for row in rows])
    click.echo()
    for total in vat:
        click.echo(f"VAT {total['rate']} % on {total['base']}: {total['vat']}")
    figures = summary(document)
    click.echo(f"net {figures['net']}, VAT {figures['vat']}, total {figures['total']} {document.currency}")
    click.echo(f"paid {balance['paid']}, credited {balance['credited']}, due {balance['due']} ({balance['state']})")


@invoices.command()
@click.argument("number")
@click.option("--format", "form", type=click.Choice(["csv", "xlsx"]), required=True)
@click.option("--level", type=click.Choice(["schedule", "usage"]), default="schedule", show_default=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="The file; named like the invoice.")
def export(number: str, form: "Format", level: "Level", output: Path | None) -> None:
    """Write the detail: a row per object, charge and period, or per usage record."""
    from gateway.extraction import export_invoice

    target = output or Path(f"{number.replace('/', '-')}.{form}")
    with house() as parts, parts.database.snapshot() as session:
        rows = export_invoice(session, number, target, form, level)
    click.echo(f"{target}: {rows} rows")


@invoices.command()
@click.argument("number")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain(number: str, *, as_json: bool) -> None:
    """Walk each line down to the usage records behind it, those too that came after it was issued."""
    from gateway.cli.explaining import explained, explained_texts

    with house() as parts, parts.database.snapshot() as session:
        lines = explained(session, number)
        if as_json:
            show_json(lines)
        else:
            show_pieces(explained_texts(lines))
