"""A message as it was received, the rules that it has to pass, and what was read from it."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple

import msgspec

from config.settings import Settings
from gateway.attached import Attached
from gateway.quick_batch import NEVER, Limits
from gateway.sources.source import NO_SOURCES, Sources
from gateway.telemetry import METRICS_MAX, Content
from storage import partitions
from storage.types import MICROSECOND


class Message(msgspec.Struct, kw_only=True, eq=False, gc=False):
    """A message as it was received. `receipt` is unique per receipt: it tells apart what has no key of its own.

    A struct, because one is made for every message: a dataclass takes five times as long.
    """

    topic: str
    payload: bytes
    received_at: datetime
    retained: bool = False
    receipt: str = ""
    origin: str = "mqtt"
    attached: Attached | None = None

    def own_receipt(self) -> str:
        """The receipt, made when it is first asked for (few messages need one) and kept for every attempt."""
        if not self.receipt:
            self.receipt = uuid.uuid4().hex
        return self.receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The limits at the door; see Settings for each."""

    payload_limit_bytes: int
    plausible_past: timedelta
    plausible_future: timedelta
    unkeyed_deltas: Literal["accept", "refuse"]
    topic_devices: str
    metrics: int = METRICS_MAX
    """Most of one sample."""
    sample: int = 20
    """Messages over a limit that are quarantined, by object, limit and hour."""
    sources: Sources = NO_SOURCES
    """Those in force: what is not on our own topics is theirs."""
    debounce: timedelta = timedelta(0)
    """How long a change of presence has to hold, where its source does not say otherwise."""
    watches_silence: bool = False
    """Whether objects may count as offline because nothing comes from them."""

    def debounce_of(self, topic: str) -> timedelta:
        """How long a change of presence that is told on this topic has to hold."""
        source = None if topic.startswith(f"{self.topic_devices}/") else self.sources.of(topic)
        return self.debounce if source is None or source.debounce is None else source.debounce

    @classmethod
    def of(cls, settings: Settings, sources: Sources = NO_SOURCES) -> "Rules":
        """The rules that these settings make."""
        return cls(
            payload_limit_bytes=settings.payload_limit_bytes,
            plausible_past=timedelta(days=settings.plausible_past_days),
            plausible_future=timedelta(hours=settings.plausible_future_hours),
            unkeyed_deltas=settings.unkeyed_deltas,
            topic_devices=settings.topic_devices,
            metrics=settings.limit_metrics,
            sample=settings.limit_sample,
            sources=sources,
            debounce=timedelta(seconds=settings.presence_debounce_seconds),
            watches_silence=bool(settings.offline_after) or sources.watch_silence,
        )

    def limits(self, archived: Iterable[date]) -> Limits:
        """As the quick way wants them; what is older than the end of the last archived month takes the long way."""
        return Limits(
            payload_bytes=self.payload_limit_bytes,
            past=self.plausible_past // MICROSECOND,
            future=self.plausible_future // MICROSECOND,
            metrics=self.metrics,
            since=max((partitions.bounds(month)[1] for month in archived), default=NEVER),
        )


class Read(NamedTuple):
    """A message that could be read, with the object it speaks for."""

    message: Message
    reference: str
    content: Content
    part: str | None = None
    """The object of a message that a source read, which may speak for others too."""


class Refusal(NamedTuple):
    """A message that is not taken, or the part of it that speaks for one object."""

    message: Message
    reason: str
    detail: str
    part: str | None = None
