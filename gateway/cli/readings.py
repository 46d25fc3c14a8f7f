"""`metergate readings`: what is held for review, and the decision, over the use cases of the control topic."""

import click

from gateway.cli.changes import DAY, command
from gateway.cli.context import house
from gateway.cli.output import show_rows

METRIC = click.Argument(["metric"])
AT = click.Option(["--at"], help="One of the held readings, as `readings held` shows it; the first unless given.")
REASON = click.Option(["--reason"], help="Why, for the timeline.")


@click.group()
def readings() -> None:
    """Readings of registers that are held for review, and what is decided of them."""


@readings.command()
@click.option("--object", "reference", help="Of one object; all that was ever held and waits.")
@click.option("--metric", help="Of one metric.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def held(reference: str | None, metric: str | None, *, as_json: bool) -> None:
    """List the readings that wait for a decision: a row for each register."""
    from billing.readings import held as waiting

    with house() as parts, parts.database.snapshot() as session:
        found = waiting(session, parts.clock.now(), reference=reference, metric=metric)
        rows = [each.as_json() for each in found]
    show_rows(rows, as_json=as_json, nothing="No reading is held.")


readings.add_command(
    command(
        "accept_readings", "The reading is right: a rise counts, from a lower one it is counted on.", METRIC, AT, REASON
    ),
    "accept",
)
readings.add_command(
    command(
        "reject_readings",
        "The held readings are wrong: they are taken back.",
        METRIC,
        AT,
        click.Option(
            ["--last", "until"], help="The last one; with --at only that reading unless given, else all that came."
        ),
        REASON,
    ),
    "reject",
)
readings.add_command(
    command(
        "exchange_readings",
        "With the first held reading another register began.",
        METRIC,
        AT,
        click.Option(["--final"], help="What the old register ended at; the last reading that counts unless given."),
        click.Option(["--initial"], help="What the new one began at; the held reading unless given."),
        REASON,
    ),
    "exchange",
)
readings.add_command(
    command(
        "replace_boundary",
        "Replace the value of a register at the end of a period by a better one; both periods beside it are corrected.",
        METRIC,
        click.Option(["--on"], type=DAY, required=True, help="The first day of the period that begins there."),
        click.Option(["--value"], help="What the register stood at; the best that its readings give now unless given."),
        REASON,
    )
)


@readings.command()
@click.argument("reference")
@click.option("--metric", help="Of one metric.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def boundaries(reference: str, metric: str | None, *, as_json: bool) -> None:
    """List the values of an object's registers at the ends of periods, and how each is known."""
    from billing.boundaries import boundaries as kept

    with house() as parts, parts.database.snapshot() as session:
        rows = [each.as_json() for each in kept(session, reference, metric)]
    show_rows(rows, as_json=as_json, nothing="No value is kept: they are at the first close.")
