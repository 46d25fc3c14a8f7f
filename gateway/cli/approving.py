"""`metergate invoices drafts`, `approve` and `void`."""

import click

from billing.core.money import format_minor
from gateway.cli.context import house
from gateway.cli.output import show_json, show_rows
from gateway.cli.paying import amount_of
from gateway.views.documents import summary

DRY_RUN = click.option("--dry-run", is_flag=True, help="Show what it would do, and write nothing.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command()
@JSON
def drafts(*, as_json: bool) -> None:
    """List the drafts that wait for approval; `invoices show` and `export` take their names."""
    from storage import invoices as store

    with house() as parts, parts.database.snapshot() as session:
        rows = [summary(draft) for draft in store.list_invoices(session, status="draft")]
    show_rows(rows, as_json=as_json, nothing="No draft waits for approval.")


@click.command()
@click.argument("draft")
@click.option("--total", help="What you saw, VAT included: refused when the draft has another total by now.")
@DRY_RUN
@JSON
def approve(draft: str, total: str | None, *, dry_run: bool, as_json: bool) -> None:
    """Issue a draft as it stands, with all drafts of its contract and month."""
    from billing.approving import approve as approve_draft
    from storage import invoices as store

    with house() as parts, parts.database.transaction() as session:
        exact = None if total is None else amount_of(total)
        numbers = approve_draft(session, draft, parts.clock.now(), total=exact)
        documents = [store.invoice_document(session, number) for number in numbers]
        if dry_run:
            session.rollback()
    if as_json:
        show_json({"draft": draft, "dry_run": dry_run, "invoices": [summary(each) for each in documents]})
        return
    for each in documents:
        gross = format_minor(each.gross_minor, each.minor_digits)
        click.echo(f"{draft} is {each.number}: {gross} {each.currency}, due on {each.due_on}")
    if dry_run:
        click.echo("Nothing was written: this was a dry run.")


@click.command()
@click.argument("draft")
@DRY_RUN
@JSON
def void(draft: str, *, dry_run: bool, as_json: bool) -> None:
    """Close the month of a draft without it: what was on it goes on the next invoice."""
    from billing.approving import void as void_draft

    with house() as parts, parts.database.transaction() as session:
        void_draft(session, draft, parts.clock.now())
        if dry_run:
            session.rollback()
    if as_json:
        show_json({"draft": draft, "dry_run": dry_run})
        return
    click.echo(f"{draft} is void; what was on it goes on the next invoice")
    if dry_run:
        click.echo("Nothing was written: this was a dry run.")
