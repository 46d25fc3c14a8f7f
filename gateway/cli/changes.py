"""Commands that move one object, over the use cases of the control topic; `--dry-run` shows what each would bill."""

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.context import house
from gateway.cli.output import show_json, show_rows

if TYPE_CHECKING:
    from billing.preview import Preview


class _Day(click.ParamType[date]):
    name = "YYYY-MM-DD"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            return value if isinstance(value, date) else date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a date; write it as 2022-04-01", param, ctx)


DAY = _Day()
ON = click.Option(["--on"], type=DAY, help="The day from which it holds; today unless given.")
LAST_DAY = click.Option(["--on"], type=DAY, help="The last day of service; today unless given.")
INSTEAD_OF = click.Option(["--instead-of"], help="The subscription that ends, when the object is on several.")
SUBSCRIPTION = click.Option(["--subscription"], help="The subscription; of the same name unless given.")


class _JsonObject(click.ParamType[dict[str, Any]]):
    name = "JSON"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        try:
            read = value if isinstance(value, dict) else json.loads(str(value))
        except ValueError as error:
            self.fail(f"{value!r} is not JSON: {error}", param, ctx)
        if not isinstance(read, dict):
            self.fail(f"{value!r} is not a JSON object", param, ctx)
        return read


COMMON = (
    click.Option(["--dry-run"], is_flag=True, help="Show what it would bill, and write nothing."),
    click.Option(
        ["--until", "shown_until"],
        type=DAY,
        help="With --dry-run: the end of the last month to show; this month's unless given.",
    ),
    click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."),
)


def show_preview(preview: "Preview[Any]", *, as_json: bool) -> int:
    """Print what a command would bill."""
    whole = preview.as_json()
    if as_json:
        show_json(whole)
        return 1 if preview.failures else 0
    for invoice in whole["invoices"]:
        before, after = invoice["before"], invoice["after"]
        was = before["net"] if before else "none"
        becomes = after["net"] if after else "none"
        kind = invoice["kind"].replace("_", " ")
        click.echo(
            f"{invoice['contract']}, {kind} of {invoice['month']}: {was} becomes {becomes} {invoice['currency']}"
        )
        show_rows(invoice["lines"], as_json=False, nothing="")
    for each in whole["net_difference"]:
        click.echo(f"Until {preview.until} it makes {each['net']} {each['currency']} net on {each['contract']}.")
    if not whole["invoices"]:
        click.echo(f"It changes no invoice until {preview.until}.")
    for failure in preview.failures:
        click.echo(f"cannot be closed: {failure}", err=True)
    click.echo("Nothing was written: this was a dry run.")
    return 1 if preview.failures else 0


def _run(command: str, reference: str, *, dry_run: bool, shown_until: date | None, as_json: bool, **values: Any) -> int:
    from billing import commands
    from billing.preview import contracts_of, preview
    from billing.recording import Said

    request_id: str = values.pop("request_id", None) or ""
    given = {key: value for key, value in values.items() if value is not None}
    body = commands.validated(command, {"request_id": request_id or "cli", "dry_run": dry_run, **given})
    with house() as parts, parts.database.transaction() as session:
        said = Said(
            now=parts.clock.now(),
            origin="cli",
            key=request_id,
            topic_devices=parts.settings.topic_devices,
            command_expiry_seconds=parts.settings.command_expiry_seconds,
        )
        if dry_run:
            shown = preview(
                session,
                lambda inside: commands.run(inside, command, reference, body, said),
                contracts=contracts_of(session, reference, *body.contracts()),
                now=said.now,
                until=shown_until,
                effective_on=body.effective_on(),
            )
            return show_preview(shown, as_json=as_json)
        outcome = commands.run(session, command, reference, body, said)
    if as_json:
        show_json(outcome.as_json())
    else:
        click.echo(outcome.told())
    return 0


def command(name: str, summary: str, *options: click.Parameter) -> click.Command:
    """The command line's form of a command of the control topic, which does the same."""

    def call(reference: str, **values: Any) -> int:
        return _run(name, reference, **values)

    return click.Command(
        name.replace("_", "-"),
        callback=call,
        help=summary,
        params=[click.Argument(["reference"]), *options, *COMMON],
    )


COMMANDS = (
    command(
        "command",
        "Tell the object itself to do something: NAME, which it acknowledges.",
        click.Argument(["name"]),
        click.Option(["--body"], type=_JsonObject(), help="What it needs to know, as a JSON object."),
        click.Option(["--expires"], help="How long it is worth anything: 30s, 15m, 1h; a day unless set otherwise."),
        click.Option(["--request-id"], help="Makes a repeat harmless; a new one unless given."),
    ),
    command("confirm", "Confirm a draft: it becomes pending."),
    command(
        "activate",
        "Put an object on its subscription: a contract item with its schedules.",
        click.Option(["--customer"]),
        click.Option(["--contract"]),
        click.Option(["--subscription"]),
        click.Option(
            ["--starts-on"], type=DAY, help="First day of service; today in the contract's zone unless given."
        ),
        click.Option(["--term-months"], type=click.IntRange(1, 120), default=12, show_default=True),
        click.Option(
            ["--renewal"],
            type=click.Choice(["none", "automatic"]),
            help="What the end of the term does; as the contract says unless given.",
        ),
        click.Option(
            ["--starts"],
            type=click.Choice(["at_once", "on_acknowledgement"]),
            help="When its service starts; as the plan says unless given.",
        ),
        click.Option(["--notice-days"], type=click.IntRange(0, 366), help="As the contract says unless given."),
    ),
    command("suspend", "Suspend an active object.", ON),
    command("resume", "Resume a suspended object.", ON),
    command(
        "change_plan",
        "Put an object on another subscription of its contract; the day belongs to the new plan.",
        click.Option(["--subscription"], required=True, help="The new subscription."),
        INSTEAD_OF,
        ON,
    ),
    command(
        "change_price",
        "Put an object on another version of its plan; the day belongs to the new price.",
        click.Option(["--version"], type=click.IntRange(1), help="The version; the newest unless given."),
        click.Option(["--subscription"], help="Which one, when the object is on several."),
        ON,
    ),
    command(
        "transfer",
        "Put an object into another contract; the day belongs to the new contract.",
        click.Option(["--contract"], required=True, help="The new contract."),
        SUBSCRIPTION,
        INSTEAD_OF,
        ON,
    ),
    command(
        "exchange",
        "Take note that the hardware behind an object was exchanged: its register goes on from the old one's last.",
        click.Option(["--at"], help="When: RFC 3339 with a zone; now unless given."),
        click.Option(["--metric"], help="The register; once for each that the object has."),
        click.Option(["--final"], help="The old register's last reading; the last that came unless given."),
        click.Option(["--initial"], help="The new register's first reading; its next one unless given."),
        click.Option(["--note"], help="A serial number, a reason: for the timeline."),
        click.Option(["--correct"], is_flag=True, help="Give an exchange at that instant other readings."),
    ),
    command("no_renew", "Take note that a term is not to be renewed; the day is that of the notice.", ON),
    command(
        "terminate",
        "End an object's service for good; the day given is the last day of service.",
        LAST_DAY,
        click.Option(["--subscription"], help="Only this one, of an object on several; the others go on."),
        click.Option(
            ["--fee"],
            type=click.Choice(["none", "rest_of_term"]),
            help="What the early end costs: nothing more, or the recurring fees to the end of the term.",
        ),
    ),
)
