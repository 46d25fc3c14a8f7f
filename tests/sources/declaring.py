"""A source as a catalogue file declares it, and what it makes of a message: no database, no broker."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from billing import catalogue
from config.settings import Settings
from gateway.sources.declaration import source_rules
from gateway.sources.rules import Arrival, Part
from gateway.sources.source import Sources, compile_source
from gateway.telemetry import CommandAnswer, LifecycleReport, Unreadable
from storage.sources import MetricFact
from storage.types import from_micros, to_micros

NOON = datetime(2022, 4, 14, 12, tzinfo=UTC)
METRICS = """
metrics:
  - {name: energy, unit: kWh, kind: cumulative, decimals: 3}
  - {name: water, unit: m3, kind: cumulative, decimals: 3}
  - {name: usage, unit: unit, kind: delta}
  - {name: level, unit: "%", kind: gauge}
  - {name: door, unit: state, kind: state}
"""


def load(sources: str, metrics: str = METRICS) -> catalogue.CatalogueFile:
    return catalogue.load(metrics + sources, "file.yaml", sources=source_rules(Settings()))


def refusals(sources: str, metrics: str = METRICS) -> list[str]:
    """What is wrong with a declaration, a sentence each with line and place."""
    try:
        load(sources, metrics)
    except catalogue.CatalogueInvalid as error:
        return [str(problem) for problem in error.errors]
    return []


@dataclass
class Declared:
    """Sources in force, made from a catalogue file."""

    sources: Sources

    def parts(self, topic: str, payload: Any, *, at: datetime = NOON, retained: bool = False) -> list[Part]:
        """What the message says. Raises Unreadable."""
        route = self.sources.route(topic)
        if route is None:
            raise Unreadable("unknown_topic", f"{topic} is no source's")
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        micros = to_micros(at)
        past, future = timedelta(days=3650), timedelta(hours=24)
        arrival = Arrival(micros, to_micros(at - past), to_micros(at + future), retained)
        return self.sources.read(route, body, arrival)

    def usage(self, topic: str, payload: Any, **how: Any) -> list[tuple[str, str | None, dict[str, str]]]:
        """(object, time, values as text) of each sample; `-` stands for the time of the arrival."""
        return [
            (
                part.reference,
                "-" if sample.occurred_at is None else from_micros(sample.occurred_at).isoformat(),
                {name: format(Decimal(value).normalize(), "f") for name, value in sample.values},
            )
            for part in self.parts(topic, payload, **how)
            if isinstance(part.content, tuple)
            for sample in part.content
        ]

    def keys(self, topic: str, payload: Any, **how: Any) -> list[str]:
        """The key of each sample and report."""
        return [
            one.sender_id
            for part in self.parts(topic, payload, **how)
            if not isinstance(part.content, CommandAnswer)
            for one in ([part.content] if isinstance(part.content, LifecycleReport) else part.content)
        ]

    def events(self, topic: str, payload: Any, **how: Any) -> list[tuple[str, str, bool | None]]:
        """(object, event, whether it is online) of each report."""
        return [
            (part.reference, part.content.event, part.content.online)
            for part in self.parts(topic, payload, **how)
            if isinstance(part.content, LifecycleReport)
        ]

    def refusal(self, topic: str, payload: Any, **how: Any) -> str:
        """The reason why the message is refused."""
        try:
            parts = self.parts(topic, payload, **how)
        except Unreadable as error:
            return error.reason
        raise AssertionError(f"it was taken: {parts}")


def declare(sources: str, metrics: str = METRICS) -> Declared:
    file = load(sources, metrics)
    facts = {it.name: MetricFact(it.kind, it.decimals, it.excess_digits) for it in file.content.metrics}
    return Declared(
        Sources({it.name: compile_source(it.name, json.loads(json.dumps(it.definition)), facts) for it in file.sources})
    )


def preset(name: str, **more: Any) -> Declared:
    """A source of one line: the preset alone, or with a few keys of its own."""
    return declare(f"sources: [{json.dumps({'name': name, 'preset': name, **more})}]")
