"""`metergate usage`: entered by hand or in bulk, through the same door as the messages, and listed."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import click

from gateway.cells import shown_properties
from gateway.cli.changes import command
from gateway.cli.context import house
from gateway.cli.output import show_rows

CHUNK = 5_000
PROPERTY = "property:"
"""How the column of a property begins; an empty cell is none."""


@click.group()
def usage() -> None:
    """Usage records: add, import, list."""


@usage.command()
@click.argument("reference")
@click.argument("metric")
@click.argument("value")
@click.option("--at", required=True, help="When it was used: RFC 3339 with a zone, 2022-04-14T10:00:00+02:00.")
@click.option("--id", "identity", default="", help="Your key: the same key again changes nothing.")
@click.option("--property", "properties", multiple=True, help="What else it says, NAME=VALUE; as often as needed.")
def add(reference: str, metric: str, value: str, at: str, identity: str, properties: tuple[str, ...]) -> int:
    """Enter one value of one metric of one object."""
    given = dict(_named(text) for text in properties)
    if len(given) < len(properties):
        raise ValueError("a property is given twice; which one counts cannot be known")
    from gateway.entering import take, usage_body

    body = usage_body(at=at, metric=metric, value=value, identity=identity, properties=given)
    with house() as parts:
        came_to = take(parts.database, parts.clock, parts.settings, [(reference, body)], "cli")
    return _say(came_to)


def _named(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ValueError(f"the property {text!r} should be NAME=VALUE, such as zone=night")
    return name, value


@usage.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_(file: Path) -> int:
    """Enter a CSV file with the columns object, metric, value, at and, if you have them, id and property:NAME."""
    from gateway.entering import take

    total: Counter[str] = Counter()
    bad = 0
    with file.open(encoding="utf-8-sig", newline="") as stream, house() as parts:
        reader = csv.DictReader(stream, strict=True)
        rows = _rows(file, reader)
        missing = {"object", "metric", "value", "at"} - set(_columns(file, reader))
        if missing:
            raise click.ClickException(f"{file} has no column {', '.join(sorted(missing))}")
        entries: list[tuple[str, bytes]] = []
        for row in rows:
            try:
                body = _body_of(row)
            except ValueError as error:
                bad += 1
                click.echo(f"{file}:{reader.line_num}: {error}", err=True)
                continue
            entries.append((row["object"], body))
            if len(entries) == CHUNK:
                total += take(parts.database, parts.clock, parts.settings, entries, "import")
                entries.clear()
        if entries:
            total += take(parts.database, parts.clock, parts.settings, entries, "import")
    if bad:
        click.echo(f"{bad} unreadable")
    return max(_say(+total), int(bad > 0))


def _body_of(row: dict[str, str]) -> bytes:
    from gateway.entering import usage_body

    if None in row or None in row.values():
        raise ValueError("the row has another number of cells than the first line")
    properties = {
        name.removeprefix(PROPERTY): value for name, value in row.items() if name.startswith(PROPERTY) and value
    }
    return usage_body(
        at=row["at"], metric=row["metric"], value=row["value"], identity=row.get("id") or "", properties=properties
    )


def _columns(file: Path, reader: "csv.DictReader[str]") -> Sequence[str]:
    try:
        return reader.fieldnames or ()
    except (csv.Error, UnicodeDecodeError) as error:
        raise click.ClickException(f"{file}, line 1: {error}") from None


def _rows(file: Path, reader: "csv.DictReader[str]") -> Iterator[dict[str, str]]:
    """The rows up to the place from which the file cannot be read as CSV; importing it again, mended, adds the rest."""
    while True:
        try:
            row = next(reader, None)
        except (csv.Error, UnicodeDecodeError) as error:
            raise click.ClickException(f"{file}, after line {reader.line_num}: {error}") from None
        if row is None:
            return
        yield row


def _say(came_to: "Counter[str]") -> int:
    click.echo(", ".join(f"{count} {word}" for word, count in came_to.items()) or "nothing to add")
    refused = set(came_to) - {"added", "already there"}
    if refused:
        click.echo("what was refused waits: `metergate quarantine list` says why", err=True)
    return 1 if refused else 0


usage.add_command(
    command(
        "reverse",
        "Take back one usage record: it never counted, and what was charged for it is given back by the next close.",
        click.Argument(["metric"]),
        click.Option(["--at"], required=True, help="When it was used, as `usage list` shows it."),
        click.Option(["--id"], help="The record's id, where several stand at that instant."),
        click.Option(["--reason"], required=True, help="Why, for the timeline and for `invoices explain`."),
        click.Option(["--value"], help="What should have been there: recorded in its place."),
    )
)


@usage.command("list")
@click.argument("reference")
@click.option("--since", help="From this instant on, RFC 3339 with a zone.")
@click.option("--until", help="Before this instant.")
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1, 1_000_000))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(reference: str, since: str | None, until: str | None, limit: int, *, as_json: bool) -> None:
    """List the usage records of an object, in time order."""
    from storage import overview

    with house() as parts, parts.database.snapshot() as session:
        rows = overview.usage_of(session, reference, since=_instant(since), until=_instant(until), limit=limit)
    if not as_json:
        rows = [{**row, "properties": shown_properties(row["properties"])} for row in rows]
    show_rows(rows, as_json=as_json, nothing="No usage record matches.")


@usage.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def unbilled(*, as_json: bool) -> None:
    """List what closed periods leave out because its object was suspended and its plan does not charge that."""
    from billing.unbilled import unbilled as left_out

    with house() as parts, parts.database.snapshot() as session:
        rows = [each.as_json() for each in left_out(session)]
    show_rows(rows, as_json=as_json, nothing="Nothing was left out.")


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an instant; write 2022-04-14T10:00:00+02:00") from None
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write 2022-04-14T10:00:00+02:00")
    return instant
