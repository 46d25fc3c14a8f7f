"""What sources would make of a message, before anything is stored: no database is written, no refusal is kept."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from billing.catalogue.sources import DeclaredSource
from gateway.attached import Attached
from gateway.sources.numbers import ONE
from gateway.sources.rules import Arrival, Mapped, Part
from gateway.sources.source import Sources, compile_source
from gateway.telemetry import CommandAnswer, LifecycleReport, Unreadable
from storage.sources import MetricFact
from storage.types import from_micros, to_micros

ANY_METRIC = MetricFact("gauge", 6, "round")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A message to try."""

    topic: str
    payload: bytes
    at: datetime
    retained: bool = False
    attached: Attached | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One thing that a message says, or why it says nothing."""

    topic: str
    source: str | None
    outcome: str
    """`usage`, `event`, `answer`, `nothing`, or the reason of a refusal."""
    object: str | None = None
    at: str | None = None
    """The instant; None for the time of the arrival."""
    what: str | None = None
    value: str | None = None
    key: str | None = None
    detail: str | None = None


class _AnyMetric(dict[str, Mapped]):
    """Every name is a metric: for a preset that is tried before a catalogue is written."""

    def get(self, name: str, default: Mapped | None = None) -> Mapped | None:  # type: ignore[override] # one kind of default
        return super().get(name, default) or Mapped(metric=name, fact=ANY_METRIC, factor=ONE, decimal_factor=Decimal(1))


def with_any_metric(declared: DeclaredSource) -> Sources:
    """A source alone, with all the metrics that it names, and every other name a metric too."""
    facts = {use.metric: MetricFact(use.kind or "gauge", 6, "round") for use in declared.metrics}
    source = compile_source(declared.name, declared.definition, facts)
    messages = [
        dataclasses.replace(
            message, mapping=dataclasses.replace(message.mapping, by_name=_AnyMetric(message.mapping.by_name))
        )
        for message in source.messages
    ]
    return Sources({declared.name: dataclasses.replace(source, messages=tuple(messages))})


def try_message(sources: Sources, heard: Heard, *, past: timedelta, future: timedelta) -> Sequence[Tried]:
    """What the message says, or why it is refused; `past` and `future` bound what is plausible."""
    route = sources.route(heard.topic)
    if route is None:
        return [Tried(topic=heard.topic, source=None, outcome="unknown_topic", detail="no source takes this topic")]
    at = to_micros(heard.at)
    arrival = Arrival(at, to_micros(heard.at - past), to_micros(heard.at + future), heard.retained, heard.attached)
    try:
        parts = sources.read(route, heard.payload, arrival)
    except Unreadable as error:
        return [Tried(topic=heard.topic, source=route.source, outcome=error.reason, detail=str(error))]
    told = [tried for part in parts for tried in _part(part, heard.topic, route.source, arrival)]
    return told or [
        Tried(topic=heard.topic, source=route.source, outcome="nothing", detail="nothing that is asked for")
    ]


def _part(part: Part, topic: str, source: str, arrival: Arrival) -> Iterator[Tried]:
    if isinstance(part.content, CommandAnswer):
        said = part.content
        yield Tried(
            topic=topic,
            source=source,
            outcome="answer",
            object=part.reference,
            what=said.status,
            key=", ".join(said.ids) or None,
            detail=said.reason or None,
        )
        return
    samples = [part.content] if isinstance(part.content, LifecycleReport) else part.content
    for sample in samples:
        at = sample.occurred_at
        plausible = at is None or arrival.earliest <= at <= arrival.latest
        common = Tried(
            topic=topic,
            source=source,
            outcome="usage" if plausible else "implausible_time",
            object=part.reference,
            at=None if at is None else from_micros(at).isoformat(),
            key=sample.sender_id or None,
        )
        if isinstance(sample, LifecycleReport):
            yield dataclasses.replace(common, what=sample.event, outcome="event" if plausible else "implausible_time")
            continue
        for name, value in sample.values:
            yield dataclasses.replace(common, what=name, value=format(Decimal(value), "f"))
