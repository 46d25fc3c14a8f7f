"""`metergate invoices export`: the detail (CSV, Excel) or the document (PDF, Factur-X, UBL), one or a month of them."""

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from billing.core.errors import BillingError
from gateway.cli.context import house
from gateway.cli.months import month_of
from gateway.files import written_whole

if TYPE_CHECKING:
    from config.clock import Clock
    from gateway.documents.language import Language
    from gateway.documents.writing import Form
    from gateway.extraction import Format, Level
    from storage.database import Database

DETAILS = ("csv", "xlsx")
DOCUMENTS = ("pdf", "factur-x", "ubl")


@click.command()
@click.argument("number", required=False)
@click.option("--format", "form", type=click.Choice([*DETAILS, *DOCUMENTS]), required=True)
@click.option("--month", metavar="YYYY-MM", help="All issued in a billing month, instead of one number.")
@click.option("--level", type=click.Choice(["schedule", "usage"]), default="schedule", show_default=True)
@click.option("--language", type=click.Choice(["en", "fr"]), default="en", show_default=True, help="Of a PDF.")
@click.option("--annex", is_flag=True, help="In a PDF, what each object comes to.")
@click.option("--output", type=click.Path(path_type=Path), help="The file, or with --month the folder.")
def export(*, number: str | None, form: str, month: str | None, output: Path | None, **how: Any) -> int:
    """Write the detail of an invoice (csv, xlsx), or the document that its customer receives (pdf, factur-x, ubl).

    The detail has a row per object, charge and period, or per usage record. A document is made once and kept: every
    later export gives the same bytes.
    """
    if (number is None) == (month is None):
        raise click.UsageError("name one invoice, or a month with --month YYYY-MM")
    with house() as parts:
        if number is not None:
            click.echo(_one(parts.database, parts.clock, number, form, output or Path(_name(number, form)), how))
            return 0
        return _month(parts.database, parts.clock, month_of(cast("str", month)), form, output or Path(), how)


def _month(database: "Database", clock: "Clock", month: date, form: str, folder: Path, how: dict[str, Any]) -> int:
    """Every document of a month, with progress; those that cannot be made are named, the others are there."""
    from storage.documents import DocumentChanged
    from storage.invoices import numbers_of_month

    with database.snapshot() as session:
        numbers: Sequence[str] = numbers_of_month(session, month)
    if not numbers:
        click.echo(f"Nothing was issued for {month:%Y-%m}.")
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    for place, number in enumerate(numbers, start=1):
        try:
            said = _one(database, clock, number, form, folder / _name(number, form), how)
        except (BillingError, DocumentChanged) as error:
            failed += 1
            said = str(error)
        click.echo(f"{place}/{len(numbers)}  {said}", err=True)
    click.echo(f"{folder}: {len(numbers) - failed} of {len(numbers)} written")
    return 1 if failed else 0


def _one(database: "Database", clock: "Clock", number: str, form: str, target: Path, how: dict[str, Any]) -> str:
    """Write one file; what to say of it."""
    if form in DETAILS:
        from gateway.extraction import export_invoice

        with database.snapshot() as session, written_whole(target) as part:
            rows = export_invoice(session, number, part, cast("Format", form), cast("Level", how["level"]))
        return f"{target}: {rows} rows"
    from gateway.documents.writing import document_bytes

    now: datetime = clock.now()
    content = document_bytes(
        database,
        number,
        cast("Form", form),
        language=cast("Language", how["language"]),
        annex=how["annex"],
        now=now,
    )
    with written_whole(target) as part:
        part.write_bytes(content)
    return f"{target}: {len(content)} bytes"


def _name(number: str, form: str) -> str:
    from gateway.documents.writing import SUFFIXES

    suffix = f".{form}" if form in DETAILS else SUFFIXES[cast("Form", form)]
    return number.replace("/", "-") + suffix
