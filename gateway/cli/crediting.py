"""`metergate invoices credit`."""

from fractions import Fraction

import click

from gateway.cli.context import house
from gateway.cli.documents import show_document
from gateway.cli.output import show_json
from gateway.cli.paying import amount_of
from gateway.views.documents import document_json


@click.command()
@click.argument("number")
@click.option("--lines", help="Only these lines, by position: 1,3.")
@click.option("--amount", help="So much, net, spread over the lines by what is left of each.")
@click.option("--percent", help="So much of each line as it was issued.")
@click.option("--reason", required=True, help="Why; it stands on the credit note.")
@click.option("--rebill", is_flag=True, help="The next close charges anew what was credited.")
@click.option("--reference", help="A word of yours; the same one again gives the same credit note.")
@click.option("--dry-run", is_flag=True, help="Show the credit note, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def credit(
    number: str,
    lines: str | None,
    amount: str | None,
    percent: str | None,
    reason: str,
    reference: str | None,
    *,
    rebill: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Credit an invoice: all that is left of it, or some of its lines, an amount, a percentage."""
    from billing.crediting import Credit
    from billing.crediting import credit as issue
    from billing.payments import balance_of
    from storage import invoices as store

    asked = Credit(
        lines=_positions(lines),
        amount=None if amount is None else amount_of(amount),
        percent=None if percent is None else _percent(percent),
        reason=reason,
        rebill=rebill,
        reference=reference,
    )
    with house() as parts, parts.database.transaction() as session:
        now = parts.clock.now()
        note = issue(session, number, asked, now)
        document, balance = store.invoice_document(session, note), balance_of(session, note, now.date())
        if dry_run:
            session.rollback()
    if as_json:
        show_json(document_json(document, balance) | {"dry_run": dry_run})
        return
    show_document(document, balance)
    if dry_run:
        click.echo("Nothing was written: this was a dry run.")


def _positions(text: str | None) -> tuple[int, ...]:
    if text is None:
        return ()
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):  # noqa: PLR2004 - digits
        raise click.UsageError(f"{text!r} is not a list of lines; write it as 1,3")
    return tuple(int(part) for part in parts)


def _percent(text: str) -> Fraction:
    try:
        return amount_of(text.removesuffix("%").strip())
    except click.UsageError:
        raise click.UsageError(f"{text!r} is not a percentage; write it as 12.5") from None
