"""`metergate price`: what a charge is worth, without a database."""

from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from gateway.cli.output import show_json, show_table
from gateway.cli.pairs import named_value

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--charge", "charge_file", required=True, type=FILE, help="A YAML file with one charge.")
@click.option("--quantity", metavar="N", help="The period's usage, in the metric's unit.")
@click.option("--events", "events_file", type=FILE, help='A JSON list of {"at", "value", "properties"?, "id"?}.')
@click.option("--period", metavar="START/END", help="The service, days or instants; the end is exclusive.")
@click.option("--nominal", metavar="START/END", help="The whole period that the service is a part of.")
@click.option("--number", type=click.IntRange(1), default=1, help="Which period of the service it is, from 1.")
@click.option("--items", metavar="N", default="1", show_default=True, help="Items in a pool with limits: item.")
@click.option("--timezone", default="UTC", show_default=True, help="The zone of the days.")
@click.option("--currency", default="EUR", show_default=True, help="Its digits are those of the rounded amounts.")
@click.option("--attribute", "attributes", multiple=True, help="name=value, any number of times, for a rule to read.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def price(
    charge_file: Path,
    quantity: str | None,
    events_file: Path | None,
    period: str | None,
    nominal: str | None,
    number: int,
    items: str,
    timezone: str,
    currency: str,
    attributes: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Value a charge over a quantity or a list of events: the shortest way to try a price.

    Events outside the period are left out, and said so; those before it count only where a level is carried in.
    """
    from billing import pricing

    if quantity is not None and events_file is not None:
        raise click.UsageError("--quantity and --events exclude each other; give one of them")
    if nominal is not None and period is None:
        raise click.UsageError("--nominal is the whole period around --period; give both")
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise click.UsageError(f"time zone {timezone!r} is unknown; write an IANA name such as Europe/Paris") from None
    charge = pricing.load_charge(_text(charge_file), str(charge_file))
    question = pricing.Question(
        quantity=None if quantity is None else pricing.parse_number(quantity, "quantity"),
        events=None if events_file is None else pricing.parse_events(_text(events_file), zone, charge),
        period=None if period is None else pricing.parse_period(period, zone),
        nominal=None if nominal is None else pricing.parse_period(nominal, zone),
        number=number,
        items=pricing.parse_number(items, "items"),
        zone=zone,
        currency=currency,
        attributes=dict(map(named_value, attributes)),
    )
    valued = pricing.price(charge, question)
    found = valued.as_json()
    if valued.left_out:
        click.echo(f"{valued.left_out} events outside the period were left out.", err=True)
    if as_json:
        show_json(found)
        return
    if found["lines"]:
        show_table(
            ["line", "quantity", "unit price", "amount", "rounded"], [list(it.values()) for it in found["lines"]]
        )
    click.echo(f"Amount: {found['amount']}, rounded {found['amount_rounded']} {currency}")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not UTF-8 text ({error.reason} at byte {error.start})") from None
