"""`metergate tokens`: who may speak over HTTP."""

import click

from gateway.cli.context import house
from gateway.cli.output import show_json, show_rows

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
ROLES = click.Choice(["operator", "billing", "reader", "administrator"])


@click.group()
def tokens() -> None:
    """Access tokens of the HTTP API and the console; each has a role."""


@tokens.command()
@click.argument("name")
@click.option("--role", type=ROLES, required=True, help="What its holder may do.")
@JSON
def create(name: str, role: str, *, as_json: bool) -> None:
    """Make a token and print its secret, once: only a hash of it is kept."""
    from billing.access import Role, create_token

    with house() as parts, parts.database.transaction() as session:
        secret = create_token(session, name, Role(role), parts.clock.now())
    if as_json:
        show_json({"name": name, "role": role, "secret": secret})
        return
    click.echo(secret)
    click.echo(f"This is the secret of {name} ({role}). Keep it: it is not shown again.", err=True)


@tokens.command(name="list")
@JSON
def list_(*, as_json: bool) -> None:
    """List the tokens; no secret is shown."""
    from storage import access

    with house() as parts, parts.database.snapshot() as session:
        rows = [
            {"name": row.name, "role": row.role, "created_at": row.created_at, "revoked_at": row.revoked_at}
            for row in access.listed(session)
        ]
    show_rows(rows, as_json=as_json, nothing="There is no token; make one with `metergate tokens create`.")


@tokens.command()
@click.argument("name")
@JSON
def revoke(name: str, *, as_json: bool) -> None:
    """Take a token back: from now on its secret opens nothing."""
    from billing import access

    with house() as parts, parts.database.transaction() as session:
        changed = access.revoke(session, name, parts.clock.now())
    if as_json:
        show_json({"name": name, "state": "revoked", "changed": changed})
    else:
        click.echo(f"{name} is revoked{'' if changed else ' already'}")
