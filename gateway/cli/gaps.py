"""`metergate gaps`: times in which messages may have been lost, and a person's word that a period is good enough."""

from typing import Any

import click

from gateway.cli.context import house
from gateway.cli.output import show_rows
from gateway.cli.quarantine import IDENTITY, INSTANT
from storage import gaps as store
from storage.tables import GAP_REASONS


@click.group()
def gaps() -> None:
    """Times in which messages may have been lost; the periods that they touch are possibly incomplete."""


def row_of(listed: store.Listed) -> dict[str, object]:
    """A gap as a row."""
    gap = listed.gap
    return {
        "id": gap.id,
        "reason": gap.reason,
        "starts_at": gap.starts_at,
        "ends_at": gap.ends_at,
        "object": listed.object_reference or None,
        "metric": listed.metric or None,
        "lost": gap.lost,
        "source": gap.source or None,
        "client_id": gap.client_id or None,
        "broker": gap.broker or None,
        "cleared_at": gap.cleared_at,
        "cleared_by": gap.cleared_by,
        "why": gap.cleared_why or None,
    }


def conditions(command: Any) -> Any:
    """The options that say which gaps are meant."""
    for option in (
        click.option("--until", type=INSTANT, help="That begin before this instant (UTC unless it has a zone)."),
        click.option("--since", type=INSTANT, help="That end at this instant or later."),
        click.option("--object", "object_reference", help="Of this object alone."),
        click.option("--reason", type=click.Choice(GAP_REASONS), help="For this reason."),
    ):
        command = option(command)
    return command


@gaps.command("list")
@conditions
@click.option("--open", "open_only", is_flag=True, help="Only those that are not cleared.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(*, limit: int, as_json: bool, **conditions: Any) -> None:
    """List the gaps, newest first."""
    with house() as parts, parts.database.snapshot() as session:
        rows = [row_of(each) for each in store.listed(session, store.WhichGaps(**conditions), limit=limit)]
    show_rows(rows, as_json=as_json, nothing="No gap was recorded.")


@gaps.command()
@click.argument("identities", type=IDENTITY, nargs=-1)
@conditions
@click.option("--why", required=True, help="Why the usage is good enough to be billed; kept with the gap.")
def accept(identities: tuple[int, ...], *, why: str, **conditions: Any) -> None:
    """Say that the periods of open gaps are good enough: the next close invoices what was held for them."""
    from billing.gaps import accept as accepting

    if not identities and not any(conditions.values()):
        raise click.UsageError("say which: ids, or --reason, --object, --since, --until")
    which = store.WhichGaps(ids=identities or None, **conditions)
    with house() as parts, parts.database.transaction() as session:
        count = len(accepting(session, which, why=why, now=parts.clock.now()))
    click.echo(f"{count} accepted")
