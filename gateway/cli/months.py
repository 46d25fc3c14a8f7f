"""`metergate months`: which months the bookkeeper locked."""

from datetime import date

import click

from gateway.cli.context import house
from gateway.cli.output import show_json, show_rows

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def months() -> None:
    """A locked month takes no more documents: what is issued then bears the first day that is open."""


@months.command(name="list")
@JSON
def list_(*, as_json: bool) -> None:
    """List the locked months."""
    from storage import months as stored

    with house() as parts, parts.database.snapshot() as session:
        rows = [{"month": f"{row.month_starts_on:%Y-%m}", "locked_at": row.locked_at} for row in stored.locked(session)]
    show_rows(rows, as_json=as_json, nothing="No month is locked.")


@months.command()
@click.argument("month", metavar="YYYY-MM")
@JSON
def lock(month: str, *, as_json: bool) -> None:
    """Lock a month that has ended; locking it again changes nothing."""
    from billing.dating import lock_month

    first = month_of(month)
    with house() as parts, parts.database.transaction() as session:
        changed = lock_month(session, first, parts.clock.now())
    _say(month, "locked", changed=changed, as_json=as_json)


@months.command()
@click.argument("month", metavar="YYYY-MM")
@JSON
def unlock(month: str, *, as_json: bool) -> None:
    """Open a locked month again."""
    from billing.dating import unlock_month

    first = month_of(month)
    with house() as parts, parts.database.transaction() as session:
        changed = unlock_month(session, first)
    _say(month, "open", changed=changed, as_json=as_json)


def month_of(text: str) -> date:
    """The first day of a month as a person writes it. Raises UsageError."""
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise click.UsageError(f"{text!r} is not a month; write it as 2022-04") from None


def _say(month: str, state: str, *, changed: bool, as_json: bool) -> None:
    if as_json:
        show_json({"month": month, "state": state, "changed": changed})
    else:
        click.echo(f"{month} is {state}{'' if changed else ' already'}")
