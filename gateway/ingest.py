"""From received messages to usage records, events and presence; what is refused goes to quarantine.

The law: a message is taken whole or refused whole, a batch is one transaction, and a message that has a key
changes nothing when it comes again. The receiver, the demo and the replay of the quarantine all come through
`apply_messages`.
"""

import contextlib
import logging
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter
from typing import Literal, NamedTuple, cast

from sqlmodel import Session

from billing.core.errors import Invalid
from billing.core.quantity import Excess, scale
from billing.registry import NewObject, create_objects
from config.settings import Settings
from gateway.quick_batch import NEVER, Limits, Taken, take_quickly
from gateway.quick_telemetry import decode_quickly
from gateway.sources.codecs.sparkplug import rebirth
from gateway.sources.mapping import Arrival
from gateway.sources.quick import QuickSources
from gateway.sources.source import NO_SOURCES, Sources
from gateway.telemetry import LifecycleReport, Sample, Unreadable, decode_lifecycle
from storage import births, outbox, partitions, presence, quarantine, usage
from storage.database import Database
from storage.errors import StorageError
from storage.known import Known
from storage.properties import property_set_ids
from storage.types import MICROSECOND, from_micros, to_micros

log = logging.getLogger(__name__)

REBIRTH_EXPIRES = timedelta(minutes=5)
"""A rebirth that is asked for later was asked for again by then."""
TOPIC_LEVELS = 2
TOPICS_KEPT = 32_768
"""Topics whose parts are remembered: some 10 MB."""
LIFECYCLE_PREFIX = "lifecycle:"
"""Keeps the ids of lifecycle messages apart from those of telemetry in the inbox."""


@dataclass(slots=True, kw_only=True, eq=False)
class Message:
    """A message as it was received. `receipt` is unique per receipt: it tells apart what has no key of its own."""

    topic: str
    payload: bytes
    received_at: datetime
    retained: bool = False
    receipt: str = ""
    origin: str = "mqtt"

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
    sources: Sources = NO_SOURCES
    """Those in force: what is not on our own topics is theirs."""

    @classmethod
    def of(cls, settings: Settings, sources: Sources = NO_SOURCES) -> "Rules":
        """The rules that these settings make."""
        return cls(
            payload_limit_bytes=settings.payload_limit_bytes,
            plausible_past=timedelta(days=settings.plausible_past_days),
            plausible_future=timedelta(hours=settings.plausible_future_hours),
            unkeyed_deltas=settings.unkeyed_deltas,
            topic_devices=settings.topic_devices,
            sources=sources,
        )

    def limits(self, archived: Iterable[date]) -> Limits:
        """As the quick way wants them; what is older than the end of the last archived month takes the long way."""
        return Limits(
            payload_bytes=self.payload_limit_bytes,
            past=self.plausible_past // MICROSECOND,
            future=self.plausible_future // MICROSECOND,
            since=max((partitions.bounds(month)[1] for month in archived), default=NEVER),
        )


@dataclass(slots=True, kw_only=True)
class Applied:
    """What a batch came to; `refused` counts quarantined messages by reason."""

    records: int = 0
    duplicates: int = 0
    unkeyed: int = 0
    events: int = 0
    ignored: int = 0
    """Messages of a source that say nothing it asks for."""
    refused: Counter[str] = field(default_factory=Counter)


class _Read(NamedTuple):
    """A message that could be read, with the object it speaks for."""

    message: Message
    reference: str
    content: tuple[Sample, ...] | LifecycleReport
    part: str | None = None
    """The object of a message that a source read, which may speak for others too."""


def apply_messages(session: Session, messages: Sequence[Message], rules: Rules, *, now: datetime) -> Applied:
    """Take a batch into the database, in the session's transaction; refused messages are quarantined in it too."""
    return _apply_and_keep(session, messages, rules, now=now, known=Known())[0]


def _apply_and_keep(
    session: Session, messages: Sequence[Message], rules: Rules, *, now: datetime, known: Known
) -> tuple[Applied, "_Learnt"]:
    applied, refusals, learnt = _apply(session, messages, rules, now=now, known=known)
    for refusal in refusals:
        applied.refused[refusal.reason] += 1
        _keep(session, refusal, rules)
    return applied, learnt


def ingest_batch(database: Database, messages: Sequence[Message], rules: Rules, *, now: datetime) -> Applied:
    """`apply_messages` in a transaction of its own.

    Raises StorageError when the database is at fault: nothing is written, and the same call may be repeated. A
    message that breaks anything else is quarantined as `failed`, so that it does not stand in the way of others.
    """
    try:
        return _commit(database, messages, rules, now=now)
    except StorageError:
        raise
    except Exception:
        log.exception("a batch of %d messages failed; its messages are taken one by one", len(messages))
    total = Applied()
    for message in messages:
        try:
            one = _commit(database, [message], rules, now=now)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - one poison message must never pin the window
            with database.transaction() as session:
                _keep(session, Refusal(message, "failed", f"{type(error).__name__}: {error}"), rules)
            one = Applied(refused=Counter({"failed": 1}))
        total.records += one.records
        total.duplicates += one.duplicates
        total.unkeyed += one.unkeyed
        total.events += one.events
        total.ignored += one.ignored
        total.refused += one.refused
    return total


def _commit(database: Database, messages: Sequence[Message], rules: Rules, *, now: datetime) -> Applied:
    with database.transaction() as session:
        applied, learnt = _apply_and_keep(session, messages, rules, now=now, known=database.known)
    rules.sources.births.settle()
    database.known.learn(learnt.objects, learnt.heard)
    database.known.learn_properties(learnt.property_sets)
    database.known.learn_topics(rules.topic_devices, learnt.topics)
    return applied


def replay(session: Session, identity: int, rules: Rules, *, now: datetime) -> str | None:
    """Take a quarantined message again, with the time it was first received.

    Returns None when it is in now, or the sentence that says why it is still refused: nothing of it is written
    then, and it waits on with that reason. Raises LookupError for an id that does not wait.
    """
    row = quarantine.find(session, identity)
    if row is None or row.status != "waiting":
        raise LookupError(f"no message {identity} waits in quarantine; `metergate quarantine list` shows those that do")
    message = Message(
        topic=row.topic,
        payload=row.payload,
        received_at=row.received_at,
        # A person decides to bill it: what it lacked as a retained copy is no reason any more.
        retained=False,
        receipt=f"quarantine-{identity}",
        origin="replay",
    )
    with session.begin_nested() as savepoint:
        applied, refusals, _ = _apply(session, [message], rules, now=row.received_at, known=Known(), only_part=row.part)
        nothing = "its source takes nothing from it; mend the source, or discard it"
        if applied.ignored and not refusals:
            refusals = [Refusal(message, "nothing_taken", nothing)]
        if refusals:
            savepoint.rollback()
    if refusals:
        quarantine.explain(session, row, reason=refusals[0].reason, detail=refusals[0].detail)
        return refusals[0].detail
    quarantine.resolve(session, row, status="replayed", now=now)
    return None


class Refusal(NamedTuple):
    """A message that is not taken, or the part of it that speaks for one object."""

    message: Message
    reason: str
    detail: str
    part: str | None = None


class _Learnt(NamedTuple):
    """What may be remembered once the transaction is committed."""

    objects: dict[str, int]
    heard: dict[int, int]
    property_sets: dict[str, int]
    topics: list[tuple[str, str]]
    """Topics with the reference of the object that publishes there."""


def _apply(
    session: Session,
    messages: Sequence[Message],
    rules: Rules,
    *,
    now: datetime,
    known: Known,
    only_part: str | None = None,
) -> tuple[Applied, list[Refusal], _Learnt]:
    metrics = usage.metrics(session)
    archived = frozenset(partitions.archived_months(session))
    own = f"{rules.topic_devices}/"
    foreign = (
        QuickSources(
            rules.sources, known.objects, metrics, own_prefix=own, payload_bytes=rules.payload_limit_bytes
        ).rows
        if rules.sources.sources
        else None
    )
    quick = take_quickly(messages, known.topics(rules.topic_devices), metrics, rules.limits(archived), foreign)
    refusals: list[Refusal] = []
    reads: list[_Read] = []
    ignored = 0
    for place in quick.left:
        message = messages[place]
        try:
            if message.topic.startswith(own):
                reads.append(_read(message, rules))
            else:
                parts = [it for it in _read_source(message, rules) if only_part is None or it.part == only_part]
                ignored += not parts
                reads += parts
        except Unreadable as error:
            refusals.append(Refusal(message, error.reason, str(error)))
    objects, found = _objects(session, reads, known, rules, now)
    door = _Door(rules, objects, metrics, archived)
    accepted: list[_Read] = []
    for read in reads:
        try:
            door.take(read)
            accepted.append(read)
        except Unreadable as error:
            refusals.append(Refusal(read.message, error.reason, str(error), read.part))
    times = usage.remember_times(session, list(_times_to_remember(accepted, objects)))
    made = door.facts(times)
    facts = _in_order(messages, quick, made, door)
    sets = property_set_ids(session, facts.described.values(), known.property_sets)
    described = {place: sets[content] for place, content in facts.described.items()}
    recorded = usage.record(session, facts.rows, described)
    refusals += _conflicts(recorded, messages, facts)
    reports = [
        _reported(read.message, read.content, objects[read.reference], times)
        for read in accepted
        if isinstance(read.content, LifecycleReport)
    ]
    for object_id, received in door.heard.items():
        quick.heard[object_id] = max(received, quick.heard.get(object_id, NEVER))
    _keep_births(session, rules, now)
    heard = known.news(quick.heard)
    heard |= {report.object_id: quick.heard[report.object_id] for report in reports}
    origin = messages[0].origin if messages else "mqtt"
    return (
        Applied(
            records=recorded.inserted,
            duplicates=recorded.duplicates,
            unkeyed=sum(fact.unkeyed for fact in made),
            ignored=ignored,
            events=presence.touch(session, heard=heard, reports=reports, now=now, origin=origin),
        ),
        refusals,
        _Learnt(
            found,
            heard,
            sets,
            [
                (read.message.topic, read.reference)
                for read in accepted
                if read.part is None and not isinstance(read.content, LifecycleReport)
            ],
        ),
    )


class _Facts(NamedTuple):
    """All facts of a batch in the order of arrival, which decides between two of one key."""

    rows: Sequence[usage.Row]
    owners: Sequence[int]
    """The place of each one's message."""
    parts: Mapping[int, str]
    """By the place of a fact, the part of the message that it came from, where it has parts."""
    described: Mapping[int, str]
    """By the place of a fact, its properties, where it has any."""


def _in_order(messages: Sequence[Message], quick: Taken, made: Sequence[usage.Fact], door: "_Door") -> _Facts:
    """What went the quick way and what went through the door, together."""
    if not made:
        return _Facts(quick.rows, quick.owners, {}, quick.described)
    places = {id(messages[place]): place for place in quick.left}
    found: list[tuple[int, usage.Row, str | None, str]] = [
        (place, row, None, quick.described.get(nth, ""))
        for nth, (place, row) in enumerate(zip(quick.owners, quick.rows, strict=True))
    ]
    for nth, (read, fact) in enumerate(zip(door.owners, made, strict=True)):
        found.append((places[id(read.message)], fact, read.part, door.described.get(nth, "")))
    found.sort(key=itemgetter(0))
    return _Facts(
        [row for _, row, _, _ in found],
        [place for place, _, _, _ in found],
        {nth: part for nth, (_, _, part, _) in enumerate(found) if part is not None},
        {nth: content for nth, (_, _, _, content) in enumerate(found) if content},
    )


def _objects(
    session: Session, reads: Sequence[_Read], known: Known, rules: Rules, now: datetime
) -> tuple[dict[str, int], dict[str, int]]:
    """The ids of the objects that speak here, and those among them that were not known yet."""
    ids = known.objects
    unknown = {read.reference for read in reads if read.reference not in ids}
    if not unknown:
        return ids, {}
    found = usage.object_ids(session, unknown)
    if len(found) < len(unknown) and rules.sources.registers:
        found |= _registered(session, [read for read in reads if read.reference in unknown - found.keys()], rules, now)
    return {**{read.reference: ids[read.reference] for read in reads if read.reference in ids}, **found}, found


def _keep_births(session: Session, rules: Rules, now: datetime) -> None:
    """Keep what Sparkplug births said, and ask for those that are missing."""
    if rules.sources.births.changed:
        births.keep(session, rules.sources.births.changed, now=now)
    for topic in rules.sources.births.asked:
        asking = rebirth(to_micros(now) // 1000)
        outbox.put_bytes(session, topic, asking, now=now, expires_at=now + REBIRTH_EXPIRES)


def _registered(session: Session, reads: Sequence[_Read], rules: Rules, now: datetime) -> dict[str, int]:
    """Register the unknown objects that their source registers by itself; the ids of those that are there now."""
    new: dict[Literal["draft", "pending"], dict[str, NewObject]] = {"draft": {}, "pending": {}}
    for read in reads:
        source = rules.sources.of(read.message.topic) if read.part is not None else None
        if source is not None and source.unknown_objects != "quarantine":
            new[source.unknown_objects].setdefault(
                read.reference, NewObject(reference=read.reference, kind=source.kind)
            )
    references: set[str] = set()
    for status, objects in new.items():
        if objects:
            create_objects(session, list(objects.values()), status, now, "mqtt", topic_devices=rules.topic_devices)
            references |= objects.keys()
    return usage.object_ids(session, references)


def _conflicts(recorded: usage.Recorded, messages: Sequence[Message], facts: _Facts) -> Iterable[Refusal]:
    """One refusal for each message, or part of one, with a conflict, which its first one explains."""
    refusals: dict[tuple[int, str | None], Refusal] = {}
    for place, stands in recorded.conflicts:
        fact, owner = usage.Fact(*facts.rows[place]), facts.owners[place]
        part = facts.parts.get(place)
        where = f"metric {fact.metric_id} of object {fact.object_id} at {from_micros(fact.occurred_at).isoformat()}"
        sentence = (
            f"{where} is {stands} already with other properties than this message gives"
            if stands == fact.quantity
            else f"{where} is {stands} already (scaled), this message says {fact.quantity}"
        )
        refusals.setdefault((owner, part), Refusal(messages[owner], "conflict", sentence, part))
    return refusals.values()


def _read(message: Message, rules: Rules) -> _Read:
    reference, leaf = _address(message.topic, rules.topic_devices)
    limit = rules.payload_limit_bytes
    if leaf == "lifecycle":
        return _Read(message, reference, decode_lifecycle(message.payload, limit_bytes=limit))
    samples = decode_quickly(message.payload, limit_bytes=limit)
    if message.retained and not all(sample.has_key for sample in samples):
        raise Unreadable(
            "retained_unkeyed",
            "a retained copy without an id or a time cannot be told from its repeat; publish usage without retain",
        )
    return _Read(message, reference, samples)


def _read_source(message: Message, rules: Rules) -> list[_Read]:
    route = rules.sources.route(message.topic)
    if route is None:
        raise Unreadable(
            "unknown_topic",
            f"nothing is read from {message.topic!r}; objects publish to {rules.topic_devices}/REFERENCE/telemetry, "
            "and other topics are declared under `sources` in the catalogue",
        )
    if len(message.payload) > rules.payload_limit_bytes:
        size = len(message.payload)
        raise Unreadable("too_large", f"the payload has {size} bytes; the limit is {rules.payload_limit_bytes}")
    at = to_micros(message.received_at)
    arrival = Arrival(
        at, at - rules.plausible_past // MICROSECOND, at + rules.plausible_future // MICROSECOND, message.retained
    )
    parts = rules.sources.read(route, message.payload, arrival)
    return [_Read(message, part.reference, part.content, part.reference) for part in parts]


@lru_cache(maxsize=TOPICS_KEPT)
def _address(topic: str, devices: str) -> tuple[str, str]:
    prefix = f"{devices}/"
    levels = topic.removeprefix(prefix).split("/")
    if not topic.startswith(prefix) or len(levels) != TOPIC_LEVELS or levels[1] not in {"telemetry", "lifecycle"}:
        raise Unreadable(
            "unknown_topic", f"nothing is read from {topic!r}; objects publish to {prefix}REFERENCE/telemetry"
        )
    return levels[0], levels[1]


class _Door:
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
        self.owners: list[_Read] = []
        """What each fact was read from."""
        self.heard: dict[int, int] = {}
        """By object, when it was last heard."""

    def take(self, read: _Read) -> None:
        """Keep everything in the message. Raises Unreadable, and keeps nothing, unless all of it can be recorded."""
        message, reference, content, _ = read
        object_id = self._objects.get(reference)
        if object_id is None:
            raise Unreadable("unknown_object", f"no object has the reference {reference!r}; create it first")
        received = self._received(message)
        if isinstance(content, LifecycleReport):
            self._check_time(content.occurred_at, received)
        else:
            # Kept only at the end: a message is taken whole or refused whole.
            facts: list[usage.Fact] = []
            untimed: list[tuple[int, str]] = []
            described: dict[int, str] = {}
            for sample in content:
                self._check_time(sample.occurred_at, received)
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
        discriminator, position, occurred_at, values, _ = sample
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
            facts.append(
                usage.Fact(at, object_id, metric.id, discriminator, quantity, received, message.origin, unkeyed_delta)
            )
        return facts


def _quantity(value: Decimal | int, metric: usage.MetricRow) -> int:
    try:
        return scale(value, metric.decimals, cast("Excess", metric.excess_digits))
    except Invalid as error:
        raise Unreadable("bad_number", error.message) from None


def _times_to_remember(reads: Iterable[_Read], objects: Mapping[str, int]) -> Iterable[tuple[int, str, int]]:
    """What has an id but no time of its own."""
    for message, reference, content, _ in reads:
        if isinstance(content, LifecycleReport):
            if content.occurred_at is None and content.sender_id:
                yield objects[reference], LIFECYCLE_PREFIX + content.sender_id, to_micros(message.received_at)
            continue
        for sample in content:
            if sample.occurred_at is None and sample.sender_id:
                yield objects[reference], sample.sender_id, to_micros(message.received_at)


def _reported(
    message: Message, report: LifecycleReport, object_id: int, times: dict[tuple[int, str], int]
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
    )


def _keep(session: Session, refusal: Refusal, rules: Rules) -> None:
    message = refusal.message
    route = None if message.topic.startswith(f"{rules.topic_devices}/") else rules.sources.route(message.topic)
    reference = refusal.part
    if reference is None and route is not None:
        reference = route.reference
    elif reference is None:
        with contextlib.suppress(Unreadable):
            reference = _address(message.topic, rules.topic_devices)[0]
    quarantine.put(
        session,
        topic=message.topic,
        payload=message.payload,
        retained=message.retained,
        received_at=message.received_at,
        reason=refusal.reason,
        detail=refusal.detail,
        object_reference=reference,
        source=None if route is None else route.source,
        part=refusal.part,
    )
