"""`metergate advances add` and `list`: money paid on a contract before it is invoiced."""

from typing import TYPE_CHECKING

import click

from gateway.cli.context import house
from gateway.cli.output import show_json, show_rows
from gateway.cli.paying import amount_of, day_of

if TYPE_CHECKING:
    from sqlmodel import Session

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def advances() -> None:
    """Money paid on contracts before it is invoiced; their next invoices take it."""


@advances.command("add")
@click.argument("contract")
@click.option("--amount", required=True, help="In the contract's currency, as 100.00.")
@click.option("--on", "paid_on", metavar="DATE", help="The day of the payment; today unless given.")
@click.option("--reference", required=True, help="The bank's word for it; the same one again changes nothing.")
@JSON
def add(contract: str, amount: str, paid_on: str | None, reference: str, *, as_json: bool) -> None:
    """Record what a customer paid on a contract."""
    from billing.advancing import record_advance

    exact = amount_of(amount)
    with house() as parts:
        now = parts.clock.now()
        day = now.date() if paid_on is None else day_of(paid_on)
        with parts.database.transaction() as session:
            record_advance(session, contract, amount=exact, paid_on=day, reference=reference, now=now, origin="cli")
            row = next(it for it in _rows(session) if (it["contract"], it["reference"]) == (contract, reference))
    if as_json:
        show_json(row)
    else:
        click.echo(f"{contract}: {row['amount']} {row['currency']} on {row['paid_on']}, {row['left']} left")


@advances.command("list")
@JSON
def list_all(*, as_json: bool) -> None:
    """List what was paid before it was invoiced, and what is left of it."""
    with house() as parts, parts.database.snapshot() as session:
        rows = _rows(session)
    show_rows(rows, as_json=as_json, nothing="Nothing was paid in advance.")


def _rows(session: "Session") -> list[dict[str, object]]:
    from gateway.views.documents import advance_row
    from storage.advances import of_contracts

    return [advance_row(row) for row in of_contracts(session)]
