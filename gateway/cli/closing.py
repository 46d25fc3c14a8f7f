"""`metergate close`."""

from datetime import date
from typing import TYPE_CHECKING

import click

from gateway.cli.context import house
from gateway.cli.output import show_json, show_rows

if TYPE_CHECKING:
    from billing.close import CloseReport


@click.command()
@click.option("--until", metavar="DATE", help="Close the months that have ended by this day.")
@click.option("--thresholds", is_flag=True, help="Instead, invoice what passed its threshold in mid-period.")
@click.option("--dry-run", is_flag=True, help="Show the invoices it would issue, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def close(until: str | None, *, thresholds: bool, dry_run: bool, as_json: bool) -> int:
    """Value what is due month by month and issue the invoices."""
    from billing import close as closing

    if (until is None) != thresholds:
        raise click.UsageError("give either --until DATE or --thresholds")
    if until is None:
        from billing.thresholds import bill_thresholds

        with house() as parts:
            report = bill_thresholds(parts.database, parts.clock.now(), dry_run=dry_run)
        return _show(report, "Nothing has passed its threshold.", dry_run=dry_run, as_json=as_json)
    day = _day(until)
    with house() as parts:
        report = closing.close(
            parts.database, day, parts.clock.now(), dry_run=dry_run, topic_devices=parts.settings.topic_devices
        )
    return _show(report, f"Nothing to invoice until {day}.", dry_run=dry_run, as_json=as_json)


def _day(until: str) -> date:
    try:
        day = date.fromisoformat(until)
    except ValueError:
        raise click.UsageError(f"{until!r} is not a date; write it as 2022-04-30") from None
    if day.year == date.max.year:
        raise click.UsageError(f"{until} is further than the calendar is kept")
    return day


def _show(report: "CloseReport", nothing: str, *, dry_run: bool, as_json: bool) -> int:
    from gateway.views.documents import close_json

    whole = close_json(report) | {"dry_run": dry_run}
    rows, drafts, unbilled, incomplete, held, failures = (
        whole[key] for key in ("invoices", "drafts", "unbilled", "incomplete", "held", "failures")
    )
    if as_json:
        show_json(whole)
    else:
        show_rows(rows, as_json=False, nothing="" if drafts else nothing)
        if drafts:
            click.echo("These wait for approval, and the later months of their contracts with them:")
            show_rows(drafts, as_json=False, nothing="")
        if unbilled:
            click.echo("Used while suspended, and not billed:")
            show_rows(unbilled, as_json=False, nothing="")
        if incomplete:
            click.echo(
                "Usage may be missing here; `metergate gaps list --open` has each gap, `gaps accept` clears them:"
            )
            show_rows(incomplete, as_json=False, nothing="")
        if held:
            click.echo("Readings that are held for review, and not billed (`metergate readings held`):")
            show_rows(held, as_json=False, nothing="")
        if dry_run:
            click.echo("Nothing was written: this was a dry run.")
        for found in report.unpriced:
            click.echo(found.sentence(), err=True)
        for failure in failures:
            click.echo(f"{failure['contract']} was not closed: {failure['message']}", err=True)
    return 1 if failures else 0
