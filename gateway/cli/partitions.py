"""`metergate partitions`: the months of the usage table on PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date

import click

from gateway.cli.context import House, house
from gateway.cli.months import month_of
from gateway.cli.output import show_rows


def _month(_context: click.Context, _parameter: click.Parameter, value: str) -> date:
    return month_of(value)


@click.group()
def partitions() -> None:
    """On PostgreSQL the usage records of each UTC month are a table of their own."""


@partitions.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_partitions(*, as_json: bool) -> None:
    """Every part of the usage table: attached, archived, or the default one for months without their own."""
    from storage import partitions as store

    with house() as parts, parts.database.snapshot() as session:
        found = store.listed(session)
    nothing = "On SQLite the usage records are one table: there are no partitions."
    show_rows([asdict(partition) for partition in found], as_json=as_json, nothing=nothing)


@partitions.command()
@click.argument("month", callback=_month)
def detach(month: date) -> None:
    """Take the records of a closed MONTH out of the usage table: they stay as a table of their own.

    The rollup stays too, so invoices, lists and the close go on. What arrives for the month is quarantined.
    """
    from billing import archiving
    from storage.partitions import name_of

    with _on_postgresql() as parts, parts.database.transaction() as session:
        archiving.detach(session, month, parts.clock.now())
    click.echo(f"the usage records of {month:%Y-%m} are now the table {name_of(month)}, for you to dump and drop")


@partitions.command()
@click.argument("month", callback=_month)
def attach(month: date) -> None:
    """Bring the records of a detached MONTH back."""
    from billing import archiving

    with _on_postgresql() as parts, parts.database.transaction() as session:
        archiving.attach(session, month)
    click.echo(f"the usage records of {month:%Y-%m} are back")


@partitions.command()
@click.argument("month", callback=_month)
def split(month: date) -> None:
    """Give a MONTH whose records are in the default partition one of its own."""
    from storage import partitions as store

    with _on_postgresql() as parts, parts.database.transaction() as session:
        moved = store.split(session, month)
    click.echo(f"{month:%Y-%m} has a partition already" if moved is None else f"{moved} records moved to {month:%Y-%m}")


@contextmanager
def _on_postgresql() -> Iterator[House]:
    with house() as parts:
        if parts.database.is_sqlite:
            raise ValueError("on SQLite the usage records are one table: there are no partitions")
        yield parts
