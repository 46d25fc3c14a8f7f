"""From received messages to usage records, events and presence; what is refused goes to quarantine.

The law: a message is taken whole or refused whole, a batch is one transaction, and a message that has a key
changes nothing when it comes again. The receiver, the demo and the replay of the quarantine all come through
`apply_messages`.
"""

import logging
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal, cast

from sqlmodel import Session

from billing.core.errors import Invalid
from billing.core.quantity import Excess, parse_quantity
from config.settings import Settings
from gateway.telemetry import LifecycleReport, Sample, Unreadable, decode_lifecycle, decode_telemetry
from storage import partitions, presence, quarantine, usage
from storage.database import Database
from storage.errors import StorageError
from storage.types import from_micros, to_micros

log = logging.getLogger(__name__)

TOPIC_LEVELS = 2
LIFECYCLE_PREFIX = "lifecycle:"
"""Keeps the ids of lifecycle messages apart from those of telemetry in the inbox."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message as it was received. `receipt` is unique per receipt: it tells apart what has no key of its own."""

    topic: str
    payload: bytes
    received_at: datetime
    retained: bool = False
    receipt: str = field(default_factory=lambda: uuid.uuid4().hex)
    origin: str = "mqtt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The limits at the door; see Settings for each."""

    payload_limit_bytes: int
    plausible_past: timedelta
    plausible_future: timedelta
    unkeyed_deltas: Literal["accept", "refuse"]
    topic_devices: str

    @classmethod
    def of(cls, settings: Settings) -> "Rules":
        """The rules that these settings make."""
        return cls(
            payload_limit_bytes=settings.payload_limit_bytes,
            plausible_past=timedelta(days=settings.plausible_past_days),
            plausible_future=timedelta(hours=settings.plausible_future_hours),
            unkeyed_deltas=settings.unkeyed_deltas,
            topic_devices=settings.topic_devices,
        )


@dataclass(slots=True, kw_only=True)
class Applied:
    """What a batch came to; `refused` counts quarantined messages by reason."""

    records: int = 0
    duplicates: int = 0
    unkeyed: int = 0
    events: int = 0
    refused: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Read:
    """A message that could be read, with the object it speaks for."""

    message: Message
    reference: str
    content: tuple[Sample, ...] | LifecycleReport


def apply_messages(session: Session, messages: Sequence[Message], rules: Rules, *, now: datetime) -> Applied:
    """Take a batch into the database, in the session's transaction; refused messages are quarantined in it too."""
    applied, conflicts = _apply(session, messages, rules, now=now)
    for message, reason, detail in conflicts:
        applied.refused[reason] += 1
        _keep(session, message, rules, reason=reason, detail=detail)
    return applied


def ingest_batch(database: Database, messages: Sequence[Message], rules: Rules, *, now: datetime) -> Applied:
    """`apply_messages` in a transaction of its own.

    Raises StorageError when the database is at fault: nothing is written, and the same call may be repeated. A
    message that breaks anything else is quarantined as `failed`, so that it does not stand in the way of others.
    """
    try:
        with database.transaction() as session:
            return apply_messages(session, messages, rules, now=now)
    except StorageError:
        raise
    except Exception:
        log.exception("a batch of %d messages failed; its messages are taken one by one", len(messages))
    total = Applied()
    for message in messages:
        try:
            with database.transaction() as session:
                one = apply_messages(session, [message], rules, now=now)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - one poison message must never pin the window
            with database.transaction() as session:
                _keep(session, message, rules, reason="failed", detail=f"{type(error).__name__}: {error}")
            one = Applied(refused=Counter({"failed": 1}))
        total.records += one.records
        total.duplicates += one.duplicates
        total.unkeyed += one.unkeyed
        total.events += one.events
        total.refused += one.refused
    return total


def replay(session: Session, identity: int, rules: Rules, *, now: datetime) -> str | None:
    """Take a quarantined message again, with the time it was first received.

    Returns None when it is in now, or the sentence that says why it is still refused: nothing of it is written
    then, and it waits on. Raises LookupError for an id that does not wait.
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
        _, refusals = _apply(session, [message], rules, now=row.received_at)
        if refusals:
            savepoint.rollback()
            return refusals[0][2]
    quarantine.resolve(session, row, status="replayed", now=now)
    return None


Refusal = tuple[Message, str, str]


def _apply(
    session: Session, messages: Sequence[Message], rules: Rules, *, now: datetime
) -> tuple[Applied, list[Refusal]]:
    refusals: list[Refusal] = []
    reads: list[_Read] = []
    for message in messages:
        try:
            reads.append(_read(message, rules))
        except Unreadable as error:
            refusals.append((message, error.reason, str(error)))
    objects = usage.object_ids(session, (read.reference for read in reads))
    metrics = usage.metrics_named(session, _metric_names(reads))
    archived = frozenset(partitions.archived_months(session))
    known: list[_Read] = []
    for read in reads:
        try:
            _check(read, objects, metrics, rules)
            _check_archived(read, archived)
            known.append(read)
        except Unreadable as error:
            refusals.append((read.message, error.reason, str(error)))
    times = usage.remember_times(session, list(_times_to_remember(known, objects)))
    facts = [(fact, read.message) for read in known for fact in _facts(read, objects[read.reference], metrics, times)]
    recorded = usage.record(session, [fact for fact, _ in facts])
    refusals += _conflicts(recorded, {id(fact): message for fact, message in facts})
    heard: dict[int, datetime] = {}
    for read in known:
        object_id, received = objects[read.reference], read.message.received_at
        heard[object_id] = max(received, heard.get(object_id, received))
    reports = [
        _reported(read.message, read.content, objects[read.reference], times)
        for read in known
        if isinstance(read.content, LifecycleReport)
    ]
    origin = messages[0].origin if messages else "mqtt"
    return Applied(
        records=recorded.inserted,
        duplicates=recorded.duplicates,
        unkeyed=sum(fact.unkeyed for fact, _ in facts),
        events=presence.touch(session, heard=heard, reports=reports, now=now, origin=origin),
    ), refusals


def _conflicts(recorded: usage.Recorded, owners: dict[int, Message]) -> list[Refusal]:
    """One refusal for each message with a conflict, which its first one explains."""
    refusals: dict[int, Refusal] = {}
    for fact, stands in recorded.conflicts:
        message = owners[id(fact)]
        sentence = (
            f"metric {fact.metric_id} of object {fact.object_id} at {from_micros(fact.occurred_at).isoformat()} "
            f"is {stands} already (scaled), this message says {fact.quantity}"
        )
        refusals.setdefault(id(message), (message, "conflict", sentence))
    return list(refusals.values())


def _read(message: Message, rules: Rules) -> _Read:
    reference, leaf = _address(message.topic, rules)
    limit = rules.payload_limit_bytes
    if leaf == "lifecycle":
        return _Read(message, reference, decode_lifecycle(message.payload, limit_bytes=limit))
    samples = decode_telemetry(message.payload, limit_bytes=limit)
    if message.retained and not all(sample.has_key for sample in samples):
        raise Unreadable(
            "retained_unkeyed",
            "a retained copy without an id or a time cannot be told from its repeat; publish usage without retain",
        )
    return _Read(message, reference, samples)


def _address(topic: str, rules: Rules) -> tuple[str, str]:
    prefix = f"{rules.topic_devices}/"
    levels = topic.removeprefix(prefix).split("/")
    if not topic.startswith(prefix) or len(levels) != TOPIC_LEVELS or levels[1] not in {"telemetry", "lifecycle"}:
        raise Unreadable(
            "unknown_topic", f"nothing is read from {topic!r}; objects publish to {prefix}REFERENCE/telemetry"
        )
    return levels[0], levels[1]


def _metric_names(reads: Iterable[_Read]) -> Iterable[str]:
    return (
        name
        for read in reads
        if not isinstance(read.content, LifecycleReport)
        for sample in read.content
        for name, _ in sample.values
    )


def _check(read: _Read, objects: dict[str, int], metrics: dict[str, usage.MetricRow], rules: Rules) -> None:
    """Raise Unreadable unless everything in the message can be recorded."""
    if read.reference not in objects:
        raise Unreadable("unknown_object", f"no object has the reference {read.reference!r}; create it first")
    samples = (read.content,) if isinstance(read.content, LifecycleReport) else read.content
    received = to_micros(read.message.received_at)
    past, future = (
        rules.plausible_past // timedelta(microseconds=1),
        rules.plausible_future // timedelta(microseconds=1),
    )
    for sample in samples:
        if sample.occurred_at is not None and not received - past <= sample.occurred_at <= received + future:
            raise Unreadable(
                "implausible_time",
                f"{from_micros(sample.occurred_at).isoformat()} is more than {rules.plausible_past.days} days before "
                f"or {rules.plausible_future} after the reception; set the object's clock",
            )
        if isinstance(sample, LifecycleReport):
            continue
        for name, value in sample.values:
            _check_value(name, value, metrics, refuse_delta=rules.unkeyed_deltas == "refuse" and not sample.has_key)


def _check_archived(read: _Read, archived: frozenset[date]) -> None:
    """Raise Unreadable for a month whose records are away: a repeat could not be told from a new one."""
    if not archived or isinstance(read.content, LifecycleReport):
        return
    received = to_micros(read.message.received_at)
    for sample in read.content:
        month = partitions.month_of(received if sample.occurred_at is None else sample.occurred_at)
        if month in archived:
            raise Unreadable(
                "archived",
                f"the usage records of {month:%Y-%m} are archived; `metergate partitions attach {month:%Y-%m}` brings "
                "them back, and the message can be replayed then",
            )


def _check_value(name: str, value: Decimal | int, metrics: dict[str, usage.MetricRow], *, refuse_delta: bool) -> None:
    metric = metrics.get(name)
    if metric is None:
        raise Unreadable("unknown_metric", f"no metric is called {name!r}; declare it in the catalogue")
    _quantity(value, metric)
    if metric.kind == "delta" and refuse_delta:
        raise Unreadable("unkeyed", f"the delta {name!r} has neither `id` nor `ts`; send one of them")


def _quantity(value: Decimal | int, metric: usage.MetricRow) -> int:
    try:
        return parse_quantity(value, metric.decimals, cast("Excess", metric.excess_digits))
    except Invalid as error:
        raise Unreadable("bad_number", error.message) from None


def _times_to_remember(reads: Iterable[_Read], objects: dict[str, int]) -> Iterable[tuple[int, str, int]]:
    """What has an id but no time of its own."""
    for read in reads:
        object_id, received = objects[read.reference], to_micros(read.message.received_at)
        if isinstance(read.content, LifecycleReport):
            if read.content.occurred_at is None and read.content.sender_id:
                yield object_id, LIFECYCLE_PREFIX + read.content.sender_id, received
            continue
        for sample in read.content:
            if sample.occurred_at is None and sample.sender_id:
                yield object_id, sample.sender_id, received


def _facts(
    read: _Read, object_id: int, metrics: dict[str, usage.MetricRow], times: dict[tuple[int, str], int]
) -> Iterable[usage.Fact]:
    if isinstance(read.content, LifecycleReport):
        return
    received = to_micros(read.message.received_at)
    for sample in read.content:
        occurred, discriminator = sample.occurred_at, sample.sender_id
        if not sample.has_key:
            # Two of them are two, even in one microsecond: the receipt keeps them apart.
            discriminator = f"~{read.message.receipt}#{sample.position}"
        if occurred is None:
            occurred = times.get((object_id, sample.sender_id), received) if sample.sender_id else received
        for name, value in sample.values:
            metric = metrics[name]
            yield usage.Fact(
                occurred_at=occurred,
                object_id=object_id,
                metric_id=metric.id,
                discriminator=discriminator,
                quantity=_quantity(value, metric),
                received_at=received,
                origin=read.message.origin,
                unkeyed=metric.kind == "delta" and not sample.has_key,
            )


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


def _keep(session: Session, message: Message, rules: Rules, *, reason: str, detail: str) -> None:
    try:
        reference: str | None = _address(message.topic, rules)[0]
    except Unreadable:
        reference = None
    quarantine.put(
        session,
        topic=message.topic,
        payload=message.payload,
        retained=message.retained,
        received_at=message.received_at,
        reason=reason,
        detail=detail,
        object_reference=reference,
    )
