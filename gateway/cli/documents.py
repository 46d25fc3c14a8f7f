"""How an invoice or a credit note is shown to people."""

from typing import TYPE_CHECKING

import click

from gateway.cli.output import show_table
from gateway.views.documents import balance_row, line_rows, summary, vat_rows

if TYPE_CHECKING:
    from billing.core.payments import Balance
    from storage.invoices import InvoiceDocument


def _part(document: "InvoiceDocument") -> str:
    return f", {': '.join(document.part)}" if document.part[1] else ""


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
