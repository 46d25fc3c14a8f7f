"""`metergate invoices pay`."""

from datetime import date
from fractions import Fraction

import click

from gateway.cli.context import house
from gateway.cli.output import show_json
from gateway.views.documents import balance_row


@click.command()
@click.argument("number")
@click.option("--amount", required=True, help="In the invoice's currency, as 36.00.")
@click.option("--on", "paid_on", metavar="DATE", help="The day of the payment; today unless given.")
@click.option("--reference", required=True, help="The bank's word for it; the same one again changes nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def pay(number: str, amount: str, paid_on: str | None, reference: str, *, as_json: bool) -> None:
    """Record a payment of an invoice, or the paying out of a credit note."""
    from billing.payments import record_payment
    from storage import invoices as store

    exact = amount_of(amount)
    with house() as parts:
        now = parts.clock.now()
        day = now.date() if paid_on is None else day_of(paid_on)
        with parts.database.transaction() as session:
            balance = record_payment(
                session, number, amount=exact, paid_on=day, reference=reference, now=now, origin="cli"
            )
            document = store.invoice_document(session, number)
    row = balance_row(balance, document.minor_digits)
    if as_json:
        show_json({"number": number, "currency": document.currency} | row)
    else:
        click.echo(f"{number}: paid {row['paid']}, due {row['due']} {document.currency} ({balance.state})")


def amount_of(text: str) -> Fraction:
    """An amount as a person writes it. Raises UsageError."""
    whole, _, decimals = text.partition(".")
    if not (whole.isascii() and whole.isdigit() and len(text) <= 20 and (not decimals or decimals.isdigit())):  # noqa: PLR2004 - digits
        raise click.UsageError(f"{text!r} is not an amount; write it as 36.00")
    return Fraction(text)


def day_of(text: str) -> date:
    """A day as a person writes it. Raises UsageError."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"{text!r} is not a date; write it as 2022-05-30") from None
