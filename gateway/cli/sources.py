"""`metergate sources`: how messages of foreign formats are read."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.context import house
from gateway.cli.output import show_json, show_rows

if TYPE_CHECKING:
    from billing.catalogue import CatalogueFile
    from config.settings import Settings
    from gateway.sources.source import Sources
    from gateway.sources.trying import Heard
    from storage.tables import Source

HEX = b"hex:"
CATALOGUE = click.option(
    "--catalogue",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The sources of this file, instead of those in force.",
)


@click.group()
def sources() -> None:
    """How messages of foreign formats are read: list, presets, try, feed, acl."""


@sources.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(*, as_json: bool) -> None:
    """List the sources in force with their topics."""
    from storage import sources as stored

    with house() as parts, parts.database.snapshot() as session:
        rows = [_row(source) for source in stored.in_force(session)]
    show_rows(rows, as_json=as_json, nothing="No source is declared; see `metergate sources presets`.")


def _row(source: "Source") -> dict[str, object]:
    from gateway.sources.declaration import topics_of

    topics = list(topics_of(source.definition))
    return {
        "name": source.name,
        "version": source.version,
        "state": "on" if source.definition.get("enabled", True) else "off",
        "topics": ", ".join(topics),
        "unknown_objects": source.definition.get("unknown_objects", "quarantine"),
        "since": source.created_at,
    }


@sources.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def presets(*, as_json: bool) -> None:
    """List the formats that come with Metergate: name one as `preset` in the catalogue."""
    from gateway.sources.shipped import preset, preset_names

    rows = [
        {
            "preset": name,
            "format": preset(name).title,
            "topics": ", ".join(_topics(name)),
            "metrics": ", ".join(preset(name).metrics) or "those that the catalogue declares",
        }
        for name in preset_names()
    ]
    show_rows(rows, as_json=as_json, nothing="There are none.")


def _topics(name: str) -> list[str]:
    from gateway.sources.shipped import preset

    shipped = preset(name)
    prefix = shipped.prefix or ""
    return list(dict.fromkeys(str(message["topic"]).replace("~", prefix, 1) for message in shipped.messages))


@sources.command("try")
@click.argument("sample")
@click.option("--topic", help="The topic of the sample file; without it, each of its lines is `TOPIC PAYLOAD`.")
@click.option("--preset", "preset_name", help="A preset alone: neither catalogue nor database is needed.")
@CATALOGUE
@click.option("--retained", is_flag=True, help="As a stored copy.")
@click.option("--seconds", default=10, show_default=True, type=click.IntRange(1, 3600), help="Of live traffic.")
@click.option("--count", default=20, show_default=True, type=click.IntRange(1, 10_000), help="Messages of it at most.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def try_(
    sample: str,
    *,
    topic: str | None,
    preset_name: str | None,
    catalogue: Path | None,
    retained: bool,
    seconds: int,
    count: int,
    as_json: bool,
) -> int:
    """Show what sources make of a SAMPLE file, or of live traffic on a topic; nothing is stored.

    A file may be what `mosquitto_sub -v` printed.
    """
    from config.clock import clock_from
    from config.settings import Settings
    from gateway.mqtt import address_from
    from gateway.sources.listening import listen
    from gateway.sources.trying import try_message

    if preset_name is not None and catalogue is not None:
        raise click.UsageError("say --preset or --catalogue, not both")
    settings = Settings()
    clock = clock_from(settings.clock)
    in_force = _in_force(settings, catalogue, preset_name)
    heard: Iterable[Heard]
    if Path(sample).is_file():
        heard = _samples(Path(sample), topic, clock.now(), retained=retained)
    elif topic is not None:
        raise click.UsageError(f"there is no file {sample}")
    else:
        address = address_from(settings.broker_url, settings.broker_ca_file)
        live = listen(address, sample, mqtt_version=settings.mqtt_version, clock=clock, seconds=seconds)
        heard = islice(live, count)
    past, future = timedelta(days=settings.plausible_past_days), timedelta(hours=settings.plausible_future_hours)
    rows = [tried for message in heard for tried in try_message(in_force, message, past=past, future=future)]
    show_rows([asdict(row) for row in rows], as_json=as_json, nothing="Nothing was published there in that time.")
    return 0 if all(row.outcome in {"usage", "event", "answer", "nothing"} for row in rows) else 1


def _in_force(settings: "Settings", catalogue: Path | None, preset_name: str | None) -> "Sources":
    """The sources of a preset, of a file with its own metrics, or of the database."""
    from gateway.sources.declaration import source_rules
    from gateway.sources.source import Sources, compile_source
    from gateway.sources.stored import load
    from gateway.sources.trying import with_any_metric
    from storage.sources import MetricFact

    if preset_name is not None:
        rules = source_rules(settings)
        found, problems = rules.read([{"name": preset_name, "preset": preset_name}])
        if problems:
            # What one line does not say, the reader wants to be told; a reference stands for any object.
            found, problems = rules.read([{"name": preset_name, "preset": preset_name, "reference": "OBJECT"}])
        if problems:
            raise click.ClickException(problems[0][1])
        return with_any_metric(found[0])
    if catalogue is not None:
        file = _catalogue(catalogue, settings)
        facts = {it.name: MetricFact(it.kind, it.decimals, it.excess_digits) for it in file.content.metrics}
        return Sources({it.name: compile_source(it.name, it.definition, facts) for it in file.sources})
    with house() as parts, parts.database.snapshot() as session:
        return load(session)


def _catalogue(path: Path, settings: "Settings") -> "CatalogueFile":
    from billing import catalogue
    from gateway.sources.declaration import source_rules

    return catalogue.load(path.read_text(encoding="utf-8"), str(path), sources=source_rules(settings))


def _samples(path: Path, topic: str | None, now: datetime, *, retained: bool) -> "Iterator[Heard]":
    from gateway.sources.trying import Heard

    content = path.read_bytes()
    if topic is not None:
        yield Heard(topic=topic, payload=content, at=now, retained=retained)
        return
    for line in content.splitlines():
        named, _, payload = line.partition(b" ")
        if named and named != b"#":
            body = _bytes(payload)
            yield Heard(topic=named.decode("utf-8", "replace"), payload=body, at=now, retained=retained)


def _bytes(payload: bytes) -> bytes:
    """The payload of a line; `hex:` stands before one that is no text."""
    if not payload.startswith(HEX):
        return payload
    try:
        return bytes.fromhex(payload.removeprefix(HEX).decode("ascii"))
    except ValueError:
        raise click.ClickException(f"{payload[:60]!r} is not hexadecimal") from None


@sources.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--topic", help="The topic of the whole file; without it, each of its lines is `TOPIC PAYLOAD`.")
def feed(file: Path, *, topic: str | None) -> int:
    """Take in messages that were recorded, as if they arrived now: what `mosquitto_sub -v` printed, say.

    What has a key of its own changes nothing when it is there already; what does not fit goes to quarantine.
    """
    from gateway.ingest import Applied, ingest_batch
    from gateway.message import Message, Rules
    from gateway.sources.stored import load

    total = Applied()
    with house() as parts:
        now = parts.clock.now()
        with parts.database.snapshot() as session:
            rules = Rules.of(parts.settings, load(session))
        recorded = _samples(file, topic, now, retained=False)
        while batch := list(islice(recorded, parts.settings.batch_max)):
            messages = [Message(topic=it.topic, payload=it.payload, received_at=now, origin="import") for it in batch]
            applied = ingest_batch(parts.database, messages, rules, now=now)
            total.records += applied.records
            total.duplicates += applied.duplicates
            total.events += applied.events
            total.ignored += applied.ignored
            total.refused += applied.refused
    click.echo(
        f"{total.records} usage records added, {total.duplicates} already there, {total.events} events, "
        f"{total.ignored} messages with nothing that is asked for"
    )
    for reason, count in total.refused.items():
        click.echo(f"{count} in quarantine: {reason}", err=True)
    return 1 if total.refused else 0


@sources.command()
@click.option("--gateway", default="gateway", show_default=True, help="The broker's user that the gateway is.")
@click.option("--principal", "principals", multiple=True, help="A user that may speak for every object; repeatable.")
@click.option("--own", is_flag=True, help="Each object for itself, its user name being its reference.")
@CATALOGUE
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def acl(*, gateway: str, principals: tuple[str, ...], own: bool, catalogue: Path | None, as_json: bool) -> None:
    """Print the lines of mosquitto.acl that sources need."""
    from config.settings import Settings
    from gateway.sources.access import lines
    from storage import sources as stored

    if catalogue is not None:
        definitions = {it.name: it.definition for it in _catalogue(catalogue, Settings()).sources}
    else:
        with house() as parts, parts.database.snapshot() as session:
            definitions = {row.name: row.definition for row in stored.in_force(session)}
    enabled = {name: it for name, it in definitions.items() if it.get("enabled", True)}
    found = lines(enabled, gateway=gateway, principals=principals, own=own)
    if as_json:
        show_json([line._asdict() for line in found])
        return
    for user in dict.fromkeys(line.user for line in found):
        click.echo(f"user {user}" if user is not None else "# each object, under its own name")
        for line in found:
            if line.user == user:
                click.echo(line.text)
