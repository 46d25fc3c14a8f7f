"""`metergate close`."""

from datetime import date

import click

from gateway.cli.context import house
from gateway.cli.output import show_json, show_rows


@click.command()
@click.option("--until", required=True, metavar="DATE", help="Close the months that have ended by this day.")
@click.option("--dry-run", is_flag=True, help="Show the invoices it would issue, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def close(until: str, *, dry_run: bool, as_json: bool) -> int:
    """Value what is due month by month and issue the invoices."""
    from billing import close as closing
    from gateway.cli.documents import summary

    try:
        day = date.fromisoformat(until)
    except ValueError:
        raise click.UsageError(f"{until!r} is not a date; write it as 2022-04-30") from None
    if day.year == date.max.year:
        raise click.UsageError(f"{until} is further than the calendar is kept")
    with house() as parts:
        report = closing.close(parts.database, day, parts.clock.now(), dry_run=dry_run)
    rows, drafts = ([summary(each) for each in found] for found in (report.invoices, report.drafts))
    failures = [{"contract": it.contract, "month": it.month_starts_on, "message": it.message} for it in report.failures]
    unbilled = [each.as_json() for each in report.unbilled]
    unpriced = [each.as_json() for each in report.unpriced]
    if as_json:
        show_json(
            {
                "until": day,
                "dry_run": dry_run,
                "invoices": rows,
                "drafts": drafts,
                "unbilled": unbilled,
                "unpriced": unpriced,
                "failures": failures,
            }
        )
    else:
        nothing = "" if drafts else f"Nothing to invoice until {day}."
        show_rows(rows, as_json=False, nothing=nothing)
        if drafts:
            click.echo("These wait for approval, and the later months of their contracts with them:")
            show_rows(drafts, as_json=False, nothing="")
        if unbilled:
            click.echo("Used while suspended, and not billed:")
            show_rows(unbilled, as_json=False, nothing="")
        if dry_run:
            click.echo("Nothing was written: this was a dry run.")
        for found in report.unpriced:
            click.echo(found.sentence(), err=True)
        for failure in failures:
            click.echo(f"{failure['contract']} was not closed: {failure['message']}", err=True)
    return 1 if failures else 0
