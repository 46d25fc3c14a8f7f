"""The presets that come with Metergate: YAML files, one for each family of devices, read once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml

FOLDER = "presets"
SUFFIX = ".yaml"


class PresetUnknown(ValueError):
    """No preset has that name: the sentence lists those that there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What a preset says; `messages` are as a source would write them, with `~` for the prefix."""

    name: str
    title: str
    about: str
    prefix: str | None
    zone: str | None
    messages: Sequence[Mapping[str, Any]]
    commands: Sequence[Mapping[str, Any]] = ()
    """How commands go down, where the format has a way."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that it names, where the device decides what there is."""
        return tuple(dict.fromkeys(rule["metric"] for message in self.messages for rule in message.get("metrics", ())))


def preset_names() -> tuple[str, ...]:
    """Every preset, in the order of the alphabet."""
    folder = resources.files("gateway.sources").joinpath(FOLDER)
    return tuple(sorted(it.name.removesuffix(SUFFIX) for it in folder.iterdir() if it.name.endswith(SUFFIX)))


@lru_cache
def preset(name: str) -> Preset:
    """The preset of that name. Raises PresetUnknown."""
    if name not in preset_names():
        raise PresetUnknown(f"no preset is called {name!r}; there are {', '.join(preset_names())}")
    text = resources.files("gateway.sources").joinpath(FOLDER, name + SUFFIX).read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    return Preset(
        name=name,
        title=content["title"],
        about=content["about"],
        prefix=content.get("prefix"),
        zone=content.get("zone"),
        messages=content["messages"],
        commands=content.get("commands", ()),
    )
