"""Sources as the catalogue knows them: a name, a whole definition, and the metrics that it feeds.

What a definition means is known where messages are read; the catalogue is given rules for it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricUse:
    """A metric that a source feeds, and the kind that it must have; of the optional ones, one must be declared."""

    place: str
    metric: str
    kind: str | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredSource:
    """A source without an error in itself; `place` is where the file declares it."""

    name: str
    place: str
    definition: Mapping[str, Any]
    metrics: tuple[MetricUse, ...]


SourcesRead = tuple[Sequence[DeclaredSource], Sequence[tuple[str, str]]]
"""What was understood, and what is wrong: (place, sentence)."""


def _none(entries: Sequence[Any]) -> SourcesRead:
    return [], [("sources", "sources cannot be declared here")] if entries else []


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRules:
    """How what stands under `sources` is read, and why two definitions cannot be in force together (None: they can)."""

    read: Callable[[Sequence[Any]], SourcesRead] = _none
    clash: Callable[[Mapping[str, Any], Mapping[str, Any]], str | None] = lambda _one, _other: None


NO_SOURCES = SourceRules()
"""Where messages are not received, none can be declared."""
