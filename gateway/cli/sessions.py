"""`metergate sessions`: the ingest members, and what waits for those that do not come back."""

from dataclasses import asdict

import click

from gateway.cli.context import house
from gateway.cli.output import show_json, show_rows

QUIET_SECONDS = 5.0


@click.group()
def sessions() -> None:
    """Each ingest member has a session at the broker, where its messages wait while it is away."""


@sessions.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_members(*, as_json: bool) -> None:
    """Every member: whether it is at work, stopped or dead, and what it stored."""
    from storage import members

    with house() as parts, parts.database.snapshot() as session:
        found = members.members(session, parts.clock.now())
    show_rows([asdict(member) for member in found], as_json=as_json, nothing="No ingest member has ever run.")


@sessions.command()
@click.argument("client_id")
@click.option(
    "--quiet-seconds",
    default=QUIET_SECONDS,
    show_default=True,
    type=click.FloatRange(min=0.1),
    help="Empty is when nothing came for so long.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def drain(client_id: str, *, quiet_seconds: float, as_json: bool) -> int:
    """Store what waits for a member that does not come back, and take it out of the group.

    First its session leaves the group, so that the others get all that comes from then on.
    """
    from gateway.draining import drain as empty
    from storage import members

    with house() as parts:
        with parts.database.snapshot() as session:
            found = {member.client_id: member for member in members.members(session, parts.clock.now())}
        if client_id in found and found[client_id].state == "at work":
            click.echo(f"metergate: {client_id} is at work; stop it first", err=True)
            return 1
        stored = empty(parts.settings, parts.database, parts.clock, client_id, quiet_seconds=quiet_seconds)
    if as_json:
        show_json({"client_id": client_id, "stored": stored})
    else:
        click.echo(f"{stored} messages that waited for {client_id} are stored; it gets no more.")
    return 0
