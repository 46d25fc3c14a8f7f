"""`metergate plans`: their versions, and changes of price."""

from datetime import date
from typing import TYPE_CHECKING

import click

from gateway.cli.changes import DAY, show_preview
from gateway.cli.context import house
from gateway.cli.output import show_json, show_rows

if TYPE_CHECKING:
    from billing.repricing import Items, Migration


@click.group()
def plans() -> None:
    """Plans: list versions, migrate."""


@plans.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(*, as_json: bool) -> None:
    """List the versions of every plan, and who is on them."""
    from storage import subscribed

    with house() as parts, parts.database.snapshot() as session:
        rows = [
            {
                "plan": plan,
                "version": version,
                "declared_at": at,
                "subscriptions": taken,
                "running_items": running,
                "planned_from": to_come,
            }
            for plan, version, at, taken, running, to_come in subscribed.counts(session)
        ]
    show_rows(rows, as_json=as_json, nothing="No plan is declared.")


@plans.command()
@click.argument("plan")
@click.option("--to", "version", type=click.IntRange(1), help="The version; the newest unless given.")
@click.option("--on", type=DAY, help="The first day of the new price; today unless given.")
@click.option("--contract", "contracts", multiple=True, help="Only this contract; any number of times.")
@click.option("--all", "everyone", is_flag=True, help="All contracts.")
@click.option("--new-only", is_flag=True, help="Only objects that are activated from now on.")
@click.option("--dry-run", is_flag=True, help="Show what it would bill, and write nothing.")
@click.option("--until", type=DAY, help="With --dry-run: the end of the last month to show.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def migrate(
    plan: str,
    version: int | None,
    on: date | None,
    contracts: tuple[str, ...],
    *,
    everyone: bool,
    new_only: bool,
    dry_run: bool,
    until: date | None,
    as_json: bool,
) -> int:
    """Change the price: put objects on another version of their plan from a day on; the same again changes nothing."""
    from billing.preview import preview
    from billing.recording import Said
    from billing.repricing import migrate as change
    from storage import subscribed

    if everyone == bool(contracts):
        raise click.UsageError("say whose price changes: --all, or --contract NAME for each contract")
    with house() as parts, parts.database.transaction() as session:
        said = Said(
            now=parts.clock.now(),
            origin="cli",
            topic_devices=parts.settings.topic_devices,
            command_expiry_seconds=parts.settings.command_expiry_seconds,
        )
        named = contracts or [it.contract for it in subscribed.to_plan(session, plan, None)]
        if dry_run:
            shown = preview(
                session,
                lambda inside: change(
                    inside,
                    plan,
                    said,
                    version=version,
                    on=on,
                    contracts=contracts or None,
                    only=_who(new_only=new_only),
                ),
                contracts=set(named),
                now=said.now,
                until=until,
                effective_on=on,
            )
            if not as_json:
                _tell(shown.result)
            return show_preview(shown, as_json=as_json)
        result = change(
            session, plan, said, version=version, on=on, contracts=contracts or None, only=_who(new_only=new_only)
        )
    if as_json:
        show_json(result.as_json())
    else:
        _tell(result)
    return 0


def _who(*, new_only: bool) -> "Items":
    return "new" if new_only else "all"


def _tell(done: "Migration") -> None:
    click.echo(f"{done.moved} objects go on with version {done.version} of {done.plan}.")
    if done.subscriptions:
        click.echo(f"New objects of {done.subscriptions} subscriptions take it.")
    for each in done.left:
        click.echo(f"{each.reference} of {each.contract} stays: it {each.reason}")
    for contract in done.waiting:
        click.echo(f"New objects of {contract} take it from that day on.")
