"""The door: what was read is checked message by message, against the registry, the metrics and the clock.

The law: a message is taken whole or refused whole.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal

from billing.core.errors import Invalid
from billing.core.quantity import scale
from gateway.message import Message, Read, Rules
from gateway.telemetry import CommandAnswer, LifecycleReport, Sample, Unreadable
from storage import partitions, presence, usage
from storage.types import MICROSECOND, from_micros, to_micros

AT_ARRIVAL = "arrival"
"""The origin of a record that has the time of its arrival because its own is not plausible."""
LIFECYCLE_PREFIX = "lifecycle:"
"""Keeps the ids of lifecycle messages apart from those of telemetry in the inbox."""


class Door:
    """Checks one message after the other, whole, and keeps the facts of those that may be recorded."""

    def __init__(
        self,
        rules: Rules,
        objects: Mapping[str, int],
        metrics: Mapping[str, usage.MetricRow],
        archived: frozenset[date],
    ) -> None:
        self._archived = archived
        self._rules = rules
        self._objects = objects
        self._metrics = metrics
        self._past = rules.plausible_past // MICROSECOND
        self._future = rules.plausible_future // MICROSECOND
        self._facts: list[usage.Fact] = []
        self._untimed: list[tuple[int, str]] = []
        self._last_received: tuple[datetime | None, int] = (None, 0)
        self.described: dict[int, str] = {}
        """By the place of a fact, its properties in their canonical text, where it has any."""
        self.owners: list[Read] = []
        """What each fact was read from."""
        self.heard: dict[int, int] = {}
        """By object, when it was last heard."""

    def take(self, read: Read) -> None:
        """Keep everything in the message. Raises Unreadable, and keeps nothing, unless all of it can be recorded."""
        message, reference, content, _ = read
        object_id = self._objects.get(reference)
        if object_id is None:
            raise Unreadable("unknown_object", f"no object has the reference {reference!r}; create it first")
        received = self._received(message)
        if isinstance(content, LifecycleReport):
            self._check_time(content.occurred_at, received)
        elif not isinstance(content, CommandAnswer):
            # Kept only at the end: a message is taken whole or refused whole.
            facts: list[usage.Fact] = []
            untimed: list[tuple[int, str]] = []
            described: dict[int, str] = {}
            for sample in content:
                self._check_time(sample.occurred_at, received)
                if len(sample.values) > self._rules.metrics:
                    said = f"{len(sample.values)} metrics in one sample; at most {self._rules.metrics} are taken"
                    raise Unreadable("too_many_metrics", said)
                made = self._sample(message, sample, object_id, received)
                if sample.occurred_at is None and sample.sender_id:
                    start = len(self._facts) + len(facts)
                    untimed += [(start + nth, sample.sender_id) for nth in range(len(made))]
                if sample.properties:
                    start = len(self._facts) + len(facts)
                    described.update(dict.fromkeys(range(start, start + len(made)), sample.properties))
                facts += made
            self._untimed += untimed
            self.described.update(described)
            self._facts += facts
            self.owners += [read] * len(facts)
        if received > self.heard.get(object_id, -1):
            self.heard[object_id] = received

    def facts(self, times: Mapping[tuple[int, str], int]) -> list[usage.Fact]:
        """The facts of all messages that were taken; `times` has the time first given to what has an id but no time."""
        for position, sender_id in self._untimed:
            fact = self._facts[position]
            at = times.get((fact.object_id, sender_id), fact.received_at)
            self._facts[position] = fact._replace(occurred_at=at)
        self._untimed.clear()
        return self._facts

    def _received(self, message: Message) -> int:
        instant, micros = self._last_received
        if message.received_at is not instant:
            micros = to_micros(message.received_at)
            self._last_received = (message.received_at, micros)
        return micros

    def _check_time(self, occurred_at: int | None, received: int) -> None:
        if occurred_at is not None and not received - self._past <= occurred_at <= received + self._future:
            raise Unreadable(
                "implausible_time",
                f"{from_micros(occurred_at).isoformat()} is more than {self._rules.plausible_past.days} days before "
                f"or {self._rules.plausible_future} after the reception; set the object's clock",
            )

    def _check_archived(self, at: int) -> None:
        """Raise Unreadable for a month whose records are away: a repeat could not be told from a new one."""
        month = partitions.month_of(at)
        if month in self._archived:
            raise Unreadable(
                "archived",
                f"the usage records of {month:%Y-%m} are archived; `metergate partitions attach {month:%Y-%m}` brings "
                "them back, and the message can be replayed then",
            )

    def _sample(self, message: Message, sample: Sample, object_id: int, received: int) -> list[usage.Fact]:
        discriminator, position, occurred_at, values, _, implausible_at = sample
        origin = message.origin if implausible_at is None else AT_ARRIVAL
        unkeyed = occurred_at is None and not discriminator
        if unkeyed:
            # Two of them are two, even in one microsecond: the receipt keeps them apart.
            discriminator = f"~{message.own_receipt()}#{position}"
        at = received if occurred_at is None else occurred_at
        if self._archived:
            self._check_archived(at)
        facts = []
        for name, value in values:
            metric = self._metrics.get(name)
            if metric is None:
                raise Unreadable("unknown_metric", f"no metric is called {name!r}; declare it in the catalogue")
            quantity = _quantity(value, metric)
            unkeyed_delta = unkeyed and metric.kind == "delta"
            if unkeyed_delta and self._rules.unkeyed_deltas == "refuse":
                raise Unreadable("unkeyed", f"the delta {name!r} has neither `id` nor `ts`; send one of them")
            facts.append(usage.Fact(at, object_id, metric.id, discriminator, quantity, received, origin, unkeyed_delta))
        return facts


def _quantity(value: Decimal | int, metric: usage.MetricRow) -> int:
    try:
        return scale(value, metric.decimals, metric.excess_digits)
    except Invalid as error:
        raise Unreadable("bad_number", error.message) from None


def times_to_remember(reads: Iterable[Read], objects: Mapping[str, int]) -> Iterable[tuple[int, str, int]]:
    """What has an id but no time of its own."""
    for message, reference, content, _ in reads:
        if isinstance(content, LifecycleReport):
            if content.occurred_at is None and content.sender_id:
                yield objects[reference], LIFECYCLE_PREFIX + content.sender_id, to_micros(message.received_at)
            continue
        if isinstance(content, CommandAnswer):
            continue
        for sample in content:
            if sample.occurred_at is None and sample.sender_id:
                yield objects[reference], sample.sender_id, to_micros(message.received_at)


def reported(
    message: Message,
    report: LifecycleReport,
    object_id: int,
    times: dict[tuple[int, str], int],
    debounce: timedelta,
) -> presence.Reported:
    occurred = report.occurred_at
    if occurred is None:
        occurred = times.get((object_id, LIFECYCLE_PREFIX + report.sender_id), to_micros(message.received_at))
    return presence.Reported(
        object_id=object_id,
        kind=report.event,
        occurred_at=from_micros(occurred),
        key=report.sender_id,
        detail=report.detail,
        online=report.online,
        stated=report.occurred_at is None and not report.sender_id,
        debounce=debounce,
    )
