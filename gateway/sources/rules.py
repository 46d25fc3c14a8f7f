"""What a source says of its messages, compiled: rules of time, number, metric and event, and the route of a topic.

Times are microseconds since 1970, quantities exact.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, NamedTuple

from gateway.attached import Attached
from gateway.sources.answers import Answers
from gateway.sources.births import Place
from gateway.sources.codecs import Decode, DecodeAttached
from gateway.sources.numbers import add, multiply, number, times
from gateway.sources.paths import Find, first
from gateway.sources.times import Ambiguous, Read
from gateway.telemetry import (
    Content,
    Unreadable,
)
from storage.sources import MetricFact
from storage.types import from_micros

Retained = Literal["accept", "ignore", "quarantine", "once"]
Values = list[tuple[str, Decimal | int]]
NUMBER_MAX = 1 << 62
"""Numbers of messages are below this."""
DEPTH_MAX = 8
"""Levels of nested names below `values`."""


class Part(NamedTuple):
    """What one message says of one object."""

    reference: str
    content: Content


class Arrival(NamedTuple):
    """How a message came; times in microseconds. `earliest` and `latest` bound what is plausible."""

    at: int
    earliest: int
    latest: int
    retained: bool
    attached: Attached | None = None


class Stated(NamedTuple):
    """A time as a message says it; where the arrival is taken instead, what was said, and a key for it."""

    at: int | None
    key: str = ""
    implausible_at: int | None = None


NOT_STATED = Stated(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRule:
    finds: tuple[Find, ...]
    reads: tuple[Read, ...]
    required: bool
    implausible: Literal["refuse", "hold", "arrival"]

    def stated(self, document: Any, arrival: Arrival) -> Stated:
        """The time that a document says. Raises Unreadable."""
        value = first(self.finds, document)
        if value is None:
            if self.required:
                raise Unreadable("bad_time", "the message has no time where the source says it stands")
            return NOT_STATED
        try:
            for read in self.reads:
                at = read(value, arrival.at)
                if at is not None:
                    break
            else:
                raise Unreadable("bad_time", f"{str(value)[:60]!r} is not a time as the source says it is written")
        except Ambiguous:
            raise Unreadable(
                "bad_time", f"{value!r} stands twice, when clocks go back, and the source refuses it"
            ) from None
        if self.implausible == "refuse" or arrival.earliest <= at <= arrival.latest:
            return Stated(at)  # the door refuses what is not plausible
        if self.implausible == "hold":
            raise Unreadable(
                "held_time",
                f"{from_micros(at).isoformat()} is not plausible, and its source has it held: `metergate quarantine "
                "replay` takes it at that time",
            )
        return Stated(None, f"at {from_micros(at).isoformat()}", at)


class SequenceRule(NamedTuple):
    """Where a message has its number, and after how many the numbers begin again."""

    find: Find
    wraps_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """One value and the metric that it is; `find` is None where values carry their names."""

    metric: str
    fact: MetricFact
    factor: Fraction
    decimal_factor: Decimal | None
    """The factor, where a decimal number says it exactly."""
    find: Find | None = None
    time: TimeRule | None = None
    required: bool = False
    add_up: bool = False
    epoch: Find | None = None
    """What says which register the value is of."""

    def converted(self, value: Any) -> Decimal | int:
        """The number in the metric's unit. Raises Unreadable."""
        found = number(value)
        if found is None and self.add_up and value.__class__ is list and value:
            with contextlib.suppress(TypeError):
                total: Decimal | int = 0
                for each in value:
                    total = add(total, each)
                found = total
        if found is None:
            if value.__class__ is bool and self.fact.kind == "state":
                return int(value)
            raise Unreadable(
                "bad_number", f"{str(value)[:60]!r} is not a number, and {self.metric} is to be made of it"
            )
        if self.decimal_factor is not None:
            return found if self.decimal_factor == 1 else multiply(found, self.decimal_factor)
        refuse = self.fact.excess_digits == "refuse"
        return times(found, self.factor, decimals=self.fact.decimals, refuse_excess=refuse)


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    find: Find | None
    topic: str | None
    values: Mapping[str, str] | None
    event: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    name: str | None
    """A template over the topic's wildcards; else `find` has it."""
    find: Find | None
    value: Find
    refuse: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageMapping:
    """One message of a source, compiled; `quick` is whether its common form goes the quick way."""

    decode: Decode
    each: Find | None
    object_path: Find | None
    time: TimeRule | None
    key: tuple[Find, ...]
    mapped: tuple[Mapped, ...]
    by_name: Mapping[str, Mapped]
    """Values that carry their names: rules first, then every declared metric under its own name."""
    values: Find | None
    values_refuse: bool
    named: Named | None
    events: tuple[Events, ...]
    skip: tuple[tuple[Find, Any], ...]
    retained: Retained | None
    sequence: SequenceRule | None = None
    answers: tuple[Answers, ...] = ()
    decode_attached: DecodeAttached | None = None
    """Instead of `decode`, where something came with the payload; None when the codec has no use for it."""

    quick: bool = field(init=False)

    def __post_init__(self) -> None:
        """A message is quick when it is one object's, of one time, with nothing but values."""
        slow = (
            self.sequence
            or self.each
            or self.named
            or self.events
            or self.answers
            or self.skip
            or self.values_refuse
            or self.object_path
            or self.decode_attached
        )
        quick = (
            not slow and self.time is not None and all(rule.time is None and rule.epoch is None for rule in self.mapped)
        )
        object.__setattr__(self, "quick", quick)


class Route(NamedTuple):
    """A topic of a source, with all that the topic alone says: made once for each topic."""

    source: str
    mapping: MessageMapping
    reference: str | None
    """The object, where the topic says it."""
    agree: tuple[tuple[Find, str], ...]
    captures: Mapping[str, str]
    place: Place | None = None
    """Where a message of a stateful codec is from."""
    refusal: Unreadable | None = None
    """Why no message on this topic can be read."""
