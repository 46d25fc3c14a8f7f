"""`metergate accounting`: journal entries for the bookkeeper's program."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from billing.core.money import format_minor
from gateway.cells import csv_row
from gateway.cli.context import house
from gateway.cli.months import month_of
from gateway.files import written_whole

if TYPE_CHECKING:
    from billing.core.journal import JournalEntry

HEADINGS = ("journal", "date", "document", "account", "label", "debit", "credit", "currency", "customer")


@click.group()
def accounting() -> None:
    """Journal entries of what was issued and paid."""


@accounting.command()
@click.option("--month", required=True, metavar="YYYY-MM", help="The calendar month of the documents' days.")
@click.option("--format", "_form", type=click.Choice(["csv"]), default="csv", show_default=True)
@click.option("--payments", is_flag=True, help="Also the payments and advances of the month.")
@click.option("--output", type=click.Path(path_type=Path), help="The file; by default journal-YYYY-MM.csv.")
def export(*, month: str, _form: str, payments: bool, output: Path | None) -> None:
    """Write a month as balanced journal entries: receivable, revenue by account, VAT by rate."""
    from billing.accounting import entries, totals

    first = month_of(month)
    with house() as parts, parts.database.snapshot() as session:
        found = entries(session, first, payments=payments)
    target = output or Path(f"journal-{month}.csv")
    with written_whole(target) as part:
        part.write_text("".join(f"{row}\r\n" for row in rows(found)), encoding="utf-8", newline="")
    click.echo(f"{target}: {len(found)} entries")
    digits = {entry.currency: entry.minor_digits for entry in found}
    for currency, (debit, credit) in sorted(totals(found).items()):
        sides = (format_minor(minor, digits[currency]) for minor in (debit, credit))
        click.echo("debit {}, credit {} {}".format(*sides, currency))


def rows(found: "Sequence[JournalEntry]") -> Iterator[str]:
    """The lines of the file: text that no spreadsheet runs, amounts as plain decimals, one side of each row empty."""
    yield csv_row(HEADINGS)
    for entry in found:
        for posting in entry.postings:
            sides = (posting.debit_minor, posting.credit_minor)
            debit, credit = (format_minor(minor, entry.minor_digits) if minor else "" for minor in sides)
            yield csv_row(
                (
                    *(entry.journal, f"{entry.on}", entry.document, posting.account, entry.label),
                    *(debit, credit, entry.currency, entry.customer),
                )
            )
