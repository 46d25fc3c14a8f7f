"""`metergate invoices`: read from storage."""

from datetime import timedelta

import click

from gateway.cli.approving import approve, drafts, void
from gateway.cli.context import house
from gateway.cli.crediting import credit
from gateway.cli.documents import lacking_texts, show_document
from gateway.cli.exporting import export
from gateway.cli.output import show_json, show_pieces, show_rows
from gateway.cli.paying import pay
from gateway.views.documents import balance_row, document_json, summary

DAY = timedelta(days=1)


@click.group()
def invoices() -> None:
    """List, show, export and explain invoices; pay and credit them; approve drafts."""


for command in (pay, credit, drafts, approve, void, export):
    invoices.add_command(command)


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
        issued = document.status == "issued"
        balance = balance_of(session, number, parts.clock.now().date()) if issued else None
    if as_json:
        show_json(document_json(document, balance))
    else:
        show_document(document, balance)


@invoices.command()
@click.argument("number")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain(number: str, *, as_json: bool) -> None:
    """Walk each line down to the usage records behind it, those too that came after it was issued."""
    from gateway.cli.explaining import explained, explained_texts
    from storage import invoices as store

    with house() as parts, parts.database.snapshot() as session:
        lines = explained(session, number)
        if as_json:
            show_json(lines)
        else:
            for text in lacking_texts(store.invoice_document(session, number)):
                click.echo(text)
            show_pieces(explained_texts(lines))
