"""`metergate sources`: how messages of foreign formats are read."""

from typing import TYPE_CHECKING

import click

from gateway.cli.context import house
from gateway.cli.output import show_rows

if TYPE_CHECKING:
    from storage.tables import Source


@click.group()
def sources() -> None:
    """How messages of foreign formats are read: list, presets."""


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
