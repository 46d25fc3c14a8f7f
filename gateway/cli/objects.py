"""`metergate objects`: the registry, over the same use cases as the control topics."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from billing.core.errors import BillingError
from gateway.cli.changes import COMMANDS, DAY, show_preview
from gateway.cli.context import house
from gateway.cli.output import show_json, show_rows
from gateway.cli.pairs import named_value

if TYPE_CHECKING:
    from sqlmodel import Session

    from billing.activation import ObjectInfo

CHUNK = 2_000
"""Rows of an import that share a transaction: short enough for the gateway to write in between."""


@click.group()
def objects() -> None:
    """The registry: create, import, activate, suspend, terminate, show."""


@objects.command()
@click.argument("reference")
@click.option("--kind", default="", help="What it is: tracker, meter, charger.")
@click.option("--attribute", "attributes", multiple=True, help="name=value, any number of times.")
@click.option("--customer")
@click.option("--contract")
@click.option("--subscription")
@click.option("--pending", is_flag=True, help="Create it confirmed.")
@click.option("--activate", is_flag=True, help="Activate at once; needs customer, contract and subscription.")
@click.option("--starts-on", type=DAY, help="First day of service, with --activate.")
@click.option("--term-months", type=click.IntRange(1, 120), default=12, show_default=True)
@click.option("--renewal", type=click.Choice(["none", "automatic"]), help="As the contract says unless given.")
@click.option("--notice-days", type=click.IntRange(0, 366), help="As the contract says unless given.")
@click.option("--dry-run", is_flag=True, help="Show what it would bill, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --dry-run: print JSON.")
def create(
    reference: str,
    kind: str,
    attributes: tuple[str, ...],
    customer: str | None,
    contract: str | None,
    subscription: str | None,
    *,
    pending: bool,
    activate: bool,
    starts_on: date | None,
    term_months: int,
    renewal: str | None,
    notice_days: int | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Create one object by hand: a draft."""
    from billing import registry
    from billing.preview import preview

    new = registry.NewObject(
        reference=reference,
        kind=kind,
        attributes=dict(map(named_value, attributes)),
        customer=customer,
        contract=contract,
        subscription=subscription,
        activate=activate,
        starts_on=starts_on,
        term_months=term_months,
        renewal=renewal,
        notice_days=notice_days,
    )
    with house() as parts, parts.database.transaction() as session:
        now = parts.clock.now()

        def done(inside: "Session") -> "ObjectInfo":
            (outcome,) = registry.create_objects(
                inside,
                [new],
                status="pending" if pending else "draft",
                now=now,
                origin="cli",
                topic_devices=parts.settings.topic_devices,
                command_expiry_seconds=parts.settings.command_expiry_seconds,
            )
            if isinstance(outcome, BillingError):
                raise outcome
            return outcome

        if dry_run:
            named = {contract} if contract else set()
            return show_preview(
                preview(session, done, contracts=named, now=now, effective_on=starts_on), as_json=as_json
            )
        info = done(session)
    click.echo(info.told())
    return 0


@objects.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--all-or-nothing", is_flag=True, help="One bad row refuses the whole file.")
def import_(file: Path, *, all_or_nothing: bool) -> int:
    """Create a fleet from a CSV file; columns that are no field of an object become attributes.

    Fields: reference, kind, customer, contract, subscription, activate, starts_on, term_months, renewal, notice_days.
    """
    from billing import registry
    from billing.importing import read

    with file.open(encoding="utf-8-sig", newline="") as stream:
        try:
            good, bad = read(stream)
        except BillingError as error:
            raise click.ClickException(f"{file}: {error.message}") from None
    created = 0
    with house() as parts, click.progressbar(length=len(good), label="Objects") as progress:
        size = max(len(good), 1) if all_or_nothing else CHUNK
        for start in range(0, len(good), size):
            chunk = good[start : start + size]
            with parts.database.transaction() as session:
                outcomes = registry.create_objects(
                    session,
                    [new for _, new in chunk],
                    status="pending",
                    now=parts.clock.now(),
                    origin="import",
                    topic_devices=parts.settings.topic_devices,
                    command_expiry_seconds=parts.settings.command_expiry_seconds,
                )
                refused = [
                    (line, outcome.message)
                    for (line, _), outcome in zip(chunk, outcomes, strict=True)
                    if isinstance(outcome, BillingError)
                ]
                bad += refused
                if all_or_nothing and bad:
                    session.rollback()
                else:
                    created += len(chunk) - len(refused)
            progress.update(len(chunk))
    for line, message in sorted(bad):
        click.echo(f"{file}:{line}: {message}", err=True)
    kept = "nothing was kept" if all_or_nothing and bad else f"{created} created"
    click.echo(f"{kept}, {len(bad)} refused")
    return 1 if bad else 0


@objects.command("list")
@click.option("--status", type=click.Choice(["draft", "pending", "active", "suspended", "terminated"]))
@click.option("--contract")
@click.option("--after", default="", help="Continue after this reference.")
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1, 1_000_000))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(status: str | None, contract: str | None, after: str, limit: int, *, as_json: bool) -> None:
    """List objects, by reference."""
    from gateway.views.objects import listed_object
    from storage import registry

    with house() as parts, parts.database.snapshot() as session:
        found = registry.list_objects(session, status=status, contract=contract, after=after, limit=limit)
    rows = [listed_object(it) for it in found]
    show_rows(rows, as_json=as_json, nothing="No object matches.")


@objects.command()
@click.argument("reference")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(reference: str, *, as_json: bool) -> int:
    """One object: its timeline, its contract items and their schedules."""
    from gateway.views.objects import whole_object

    with house() as parts, parts.database.snapshot() as session:
        whole: dict[str, Any] = whole_object(session, reference)
    if as_json:
        show_json(whole)
        return 0
    for key, value in whole.items():
        if key not in {"timeline", "commands", "contract_items", "attributes"}:
            click.echo(f"{key.replace('_', ' ')}: {'' if value is None else value}")
    click.echo("\nTimeline")
    show_rows(whole["timeline"], as_json=False, nothing="empty")
    if whole["commands"]:
        click.echo("\nCommands")
        shown = ("request_id", "command", "status", "requested_at", "sent_at", "answered_at", "expires_at", "reason")
        show_rows([{key: it[key] for key in shown} for it in whole["commands"]], as_json=False, nothing="")
    for contract_item in whole["contract_items"]:
        schedules = contract_item.pop("schedules")
        click.echo("\nContract item " + ", ".join(f"{key}: {value}" for key, value in contract_item.items()))
        show_rows(schedules, as_json=False, nothing="no schedules")
    return 0


for _command in COMMANDS:
    objects.add_command(_command)
