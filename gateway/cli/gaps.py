"""`metergate gaps`: the times in which messages may have been lost, so that a person can ask the objects again."""

import click

from gateway.cli.context import house
from gateway.cli.output import show_rows
from storage import gaps as store


@click.group()
def gaps() -> None:
    """Times in which the broker lost what it had taken."""


@gaps.command("list")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(*, limit: int, as_json: bool) -> None:
    """List the gaps, newest first."""
    with house() as parts, parts.database.snapshot() as session:
        rows = [
            {
                "starts_at": gap.starts_at,
                "ends_at": gap.ends_at,
                "reason": gap.reason,
                "client_id": gap.client_id,
                "broker": gap.broker,
            }
            for gap in store.listed(session, limit=limit)
        ]
    show_rows(rows, as_json=as_json, nothing="No gap was recorded.")
