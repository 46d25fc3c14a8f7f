"""`metergate webhooks`: addresses that are told what happened."""

import click

from gateway.cli.context import house
from gateway.cli.output import show_json, show_rows

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
IDENTITY = click.IntRange(1, 2**31 - 1)


@click.group()
def webhooks() -> None:
    """Addresses that are told what happened, signed as Standard Webhooks has it."""


@webhooks.command()
@click.argument("url")
@click.option("--events", required=True, help="What it is told, with commas: invoice.issued,payment.recorded; or all.")
@JSON
def add(url: str, events: str, *, as_json: bool) -> None:
    """Declare a webhook and print its secret, once."""
    from billing import webhooks as declared
    from storage.telling import EVENTS

    wanted = EVENTS if events == "all" else tuple(event.strip() for event in events.split(","))
    with house() as parts, parts.database.transaction() as session:
        private = parts.settings.webhook_private_addresses
        identity, secret = declared.add(session, url, wanted, parts.clock.now(), private=private)
    if as_json:
        show_json({"id": identity, "url": url, "secret": secret})
        return
    click.echo(secret)
    click.echo(f"This is the secret of webhook {identity}. Keep it: it is not shown again.", err=True)


@webhooks.command(name="list")
@JSON
def list_(*, as_json: bool) -> None:
    """List the webhooks, and why one is switched off."""
    from storage import webhooks as stored

    with house() as parts, parts.database.snapshot() as session:
        rows = [
            {
                "id": row.id,
                "url": row.url,
                "events": ", ".join(row.events),
                "state": "on" if row.disabled_at is None else "off",
                "failing_since": row.failing_since,
                "why": row.disabled_why,
            }
            for row in stored.listed(session)
        ]
    show_rows(rows, as_json=as_json, nothing="There is no webhook.")


@webhooks.command()
@click.argument("identity", type=IDENTITY)
def remove(identity: int) -> None:
    """Tell an address nothing any more."""
    from billing import webhooks as declared

    with house() as parts, parts.database.transaction() as session:
        declared.remove(session, identity, parts.clock.now())
    click.echo(f"webhook {identity} is removed")


@webhooks.command()
@click.argument("identity", type=IDENTITY)
def enable(identity: int) -> None:
    """Switch a webhook on again that failed for too long."""
    from billing import webhooks as declared

    with house() as parts, parts.database.transaction() as session:
        declared.enable(session, identity)
    click.echo(f"webhook {identity} is on")


@webhooks.command()
@click.argument("identity", type=IDENTITY)
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
@JSON
def deliveries(identity: int, limit: int, *, as_json: bool) -> None:
    """List what a webhook was told, the newest first."""
    from billing import webhooks as declared
    from storage import webhooks as stored

    with house() as parts, parts.database.snapshot() as session:
        declared.known(session, identity)
        rows = [
            {
                "message": row.message_id,
                "event": row.event,
                "status": row.status,
                "attempts": row.attempts,
                "created_at": row.created_at,
                "answered_at": row.answered_at,
                "answer": row.answer,
            }
            for row in stored.deliveries(session, identity, limit=limit)
        ]
    show_rows(rows, as_json=as_json, nothing="It was told nothing yet.")
