"""From received messages to usage records, events and presence; what is refused goes to quarantine.

The law: a message is taken whole or refused whole, a batch is one transaction, and a message that has a key
changes nothing when it comes again. The receiver, the demo and the replay of the quarantine all come through
`apply_messages`.
"""

import logging
from collections import ChainMap, Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from operator import itemgetter
from typing import NamedTuple

from sqlmodel import Session

from billing.answering import answer
from billing.core.properties import REGISTER
from billing.downlink import Answer
from billing.exchanging import begins
from gateway.alarming import tell_of_clocks
from gateway.aside import keep_addresses, keep_births, note_presence
from gateway.attached import from_kept
from gateway.door import Door, reported, times_to_remember
from gateway.following import follow_numbers, note_skipped
from gateway.limiting import keep_all
from gateway.message import Message, Read, Refusal, Rules
from gateway.quick_batch import NEVER, Taken, take_quickly
from gateway.reading import read_own, read_source
from gateway.registering import objects_of
from gateway.sources.numbering import Numbered
from gateway.sources.quick import QuickSources
from gateway.telemetry import CommandAnswer, LifecycleReport, Unreadable
from storage import births, downlink, quarantine, usage
from storage.database import Database
from storage.errors import IntakeChanged, StorageError
from storage.known import Known
from storage.markers import Marked, note
from storage.properties import parsed, property_set_ids
from storage.types import from_micros

log = logging.getLogger(__name__)

FOREIGN_ANSWER = "foreign_answer"
HELD_TIME, ANY_TIME = "held_time", timedelta(days=366 * 300)
"""Held for a person; what a person lets in may be this far away."""


@dataclass(slots=True, kw_only=True)
class Applied:
    """What a batch came to; `refused` counts quarantined messages by reason."""

    records: int = 0
    duplicates: int = 0
    unkeyed: int = 0
    events: int = 0
    at_arrival: int = 0
    """Messages that have the time of their arrival because their own is not plausible."""
    ignored: int = 0
    """Messages of a source that say nothing it asks for."""
    refused: Counter[str] = field(default_factory=Counter)


def apply_messages(session: Session, messages: Sequence[Message], rules: Rules, *, now: datetime) -> Applied:
    """Take a batch into the database, in the session's transaction; refused messages are quarantined in it too."""
    return _apply_and_keep(session, messages, rules, now=now, known=Known())[0]


def _apply_and_keep(
    session: Session, messages: Sequence[Message], rules: Rules, *, now: datetime, known: Known
) -> tuple[Applied, "_Learnt"]:
    applied, refusals, learnt = _apply(session, messages, rules, now=now, known=known)
    for refusal in refusals:
        applied.refused[refusal.reason] += 1
    keep_all(session, refusals, rules)
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
                keep_all(session, [Refusal(message, "failed", f"{type(error).__name__}: {error}")], rules)
            one = Applied(refused=Counter({"failed": 1}))
        total.records += one.records
        total.duplicates += one.duplicates
        total.unkeyed += one.unkeyed
        total.events += one.events
        total.ignored += one.ignored
        total.at_arrival += one.at_arrival
        total.refused += one.refused
    return total


def _commit(database: Database, messages: Sequence[Message], rules: Rules, *, now: datetime) -> Applied:
    try:
        return _commit_once(database, messages, rules, now=now)
    except IntakeChanged:
        database.known.intake = None
        return _commit_once(database, messages, rules, now=now)


def _commit_once(database: Database, messages: Sequence[Message], rules: Rules, *, now: datetime) -> Applied:
    try:
        with database.transaction() as session:
            applied, learnt = _apply_and_keep(session, messages, rules, now=now, known=database.known)
    except Exception:
        rules.sources.unread()
        raise
    rules.sources.settle()
    database.known.intake = learnt.intake
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
    if row.reason == HELD_TIME:
        # A person decides to bill it at the time that it says.
        rules = replace(rules, plausible_past=ANY_TIME, plausible_future=ANY_TIME)
    message = Message(
        topic=row.topic,
        payload=row.payload,
        received_at=row.received_at,
        # A person decides to bill it: what it lacked as a retained copy is no reason any more.
        retained=False,
        receipt=f"quarantine-{identity}",
        origin="replay",
        attached=from_kept(row.properties),
    )
    with _looking_back(session, message, rules), session.begin_nested() as savepoint:
        applied, refusals, _ = _apply(
            session,
            [message],
            rules,
            now=row.received_at,
            known=Known(),
            only_part=row.part,
            # What else the message said was taken when it came.
            only_answers=row.reason == FOREIGN_ANSWER,
        )
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


def _looking_back(session: Session, message: Message, rules: Rules) -> AbstractContextManager[None]:
    """Read a Sparkplug message with the births of its own time, of which the present ones may say otherwise."""
    route = None if message.topic.startswith(f"{rules.topic_devices}/") else rules.sources.route(message.topic)
    if route is None or route.place is None:
        return nullcontext()
    nodes = {route.place.node, route.place.edge_node}
    return rules.sources.births.as_of(births.then(session, nodes, at=message.received_at))


class _Learnt(NamedTuple):
    """What may be remembered once the transaction is committed."""

    objects: dict[str, int]
    heard: dict[int, int]
    property_sets: dict[str, int]
    intake: usage.Intake
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
    only_answers: bool = False,
) -> tuple[Applied, list[Refusal], _Learnt]:
    quick, intake = _taken_quickly(session, messages, rules, known)
    own = f"{rules.topic_devices}/"
    refusals: list[Refusal] = []
    reads: list[Read] = []
    numbers: list[Numbered] = []
    ignored = 0
    for place in quick.left:
        message = messages[place]
        try:
            if message.topic.startswith(own):
                reads.append(read_own(message, rules))
            else:
                parts = [it for it in read_source(message, rules, numbers) if only_part in {None, it.part}]
                if only_answers:
                    parts = [it for it in parts if isinstance(it.content, CommandAnswer)]
                ignored += not parts
                reads += parts
        except Unreadable as error:
            refusals.append(Refusal(message, error.reason, str(error)))
    objects, found = objects_of(session, reads, known.objects, rules, now)
    # What tells its state without being asked, and is nobody's, is nothing.
    nobodys = [it for it in reads if _unasked(it) and it.reference not in objects]
    ignored += len(nobodys)
    if nobodys:
        reads = [it for it in reads if not _unasked(it) or it.reference in objects]
    door = Door(rules, objects, intake.metrics, intake.archived)
    accepted, refused = _let_in(reads, door)
    refusals += refused
    times = usage.remember_times(session, list(times_to_remember(accepted, objects)))
    made = door.facts(times)
    facts = _in_order(messages, quick, made, door)
    sets = property_set_ids(session, facts.described.values(), known.property_sets)
    described = {place: sets[content] for place, content in facts.described.items()}
    recorded = usage.record(session, facts.rows, described, read_by=intake)
    _begin_registers(session, facts, intake.metrics, {place for place, _ in recorded.conflicts}, now)
    refusals += _conflicts(recorded, messages, facts)
    reports = [
        reported(read.message, read.content, objects[read.reference], times, rules.debounce_of(read.message.topic))
        for read in accepted
        if isinstance(read.content, LifecycleReport)
    ]
    origin = messages[0].origin if messages else "mqtt"
    for object_id, received in door.heard.items():
        quick.heard[object_id] = max(received, quick.heard.get(object_id, NEVER))
    keep_births(session, rules, now)
    follow_numbers(session, numbers, objects, now)
    note_skipped(session, rules.sources.births.skipped, objects, now)
    keep_addresses(session, rules, ChainMap(objects, known.objects), now, replayed=origin == "replay")
    heard = known.news(quick.heard)
    heard |= {report.object_id: quick.heard[report.object_id] for report in reports}
    events = note_presence(session, heard, reports, rules, now=now, origin=origin)
    refusals += _answered(session, accepted, objects, now, rules.topic_devices)
    return (
        Applied(
            records=recorded.inserted,
            duplicates=recorded.duplicates,
            unkeyed=sum(fact.unkeyed for fact in made),
            ignored=ignored,
            at_arrival=tell_of_clocks(session, accepted, objects, now),
            events=events,
        ),
        refusals,
        _Learnt(
            found,
            heard,
            sets,
            intake,
            [
                (read.message.topic, read.reference)
                for read in accepted
                if read.part is None and isinstance(read.content, tuple)
            ],
        ),
    )


def _taken_quickly(
    session: Session, messages: Sequence[Message], rules: Rules, known: Known
) -> tuple[Taken, usage.Intake]:
    """What goes the quick way, and by which metrics and months.

    Remembered ones, where there are any, so that nothing is locked while messages are read: whether they stand is seen
    where facts are written, and here where something is left. Raises IntakeChanged where they do not.
    """
    remembered = known.intake
    intake = remembered or usage.intake(session)
    own = f"{rules.topic_devices}/"
    foreign = (
        QuickSources(
            rules.sources,
            known.objects,
            intake.metrics,
            own_prefix=own,
            payload_bytes=rules.payload_limit_bytes,
            metrics_max=rules.metrics,
        ).rows
        if rules.sources.sources
        else None
    )
    limits = rules.limits(intake.archived)
    quick = take_quickly(messages, known.topics(rules.topic_devices), intake.metrics, limits, foreign)
    if quick.left and remembered and usage.intake(session).text != remembered.text:
        raise IntakeChanged
    return quick, intake


def _unasked(read: Read) -> bool:
    return isinstance(read.content, CommandAnswer) and not read.content.ids


def _let_in(reads: Sequence[Read], door: Door) -> tuple[list[Read], Iterable[Refusal]]:
    """What passes the door, and a refusal for each message, or part of one, of which something does not.

    What one part says is taken whole or refused whole: what is replayed is then what was not taken.
    """
    refusals: dict[tuple[int, str | None], Refusal] = {}
    passed: list[Read] = []
    # Events first: checking them leaves nothing behind that a refused sample would have to take back.
    for read in sorted(reads, key=lambda it: isinstance(it.content, tuple)):
        key = id(read.message), read.part
        if key in refusals:
            continue
        try:
            door.take(read)
            passed.append(read)
        except Unreadable as error:
            refusals[key] = Refusal(read.message, error.reason, str(error), read.part)
    return [it for it in passed if (id(it.message), it.part) not in refusals], refusals.values()


def _begin_registers(
    session: Session, facts: "_Facts", metrics: Mapping[str, usage.MetricRow], refused: Collection[int], now: datetime
) -> None:
    """Take note of the registers that readings say they are of; what a refused reading says is not."""
    if not facts.described:
        return
    registers = {row.id for row in metrics.values() if row.kind == "cumulative"}
    marked: list[Marked] = []
    for place, content in facts.described.items():
        if place in refused:
            continue
        fact = usage.Fact(*facts.rows[place])
        register = parsed(content).get(REGISTER) if fact.metric_id in registers else None
        if register:
            marked.append(Marked(fact.object_id, fact.metric_id, register, fact.occurred_at))
    for changed in note(session, marked, REGISTER):
        begins(session, changed, now, "mqtt")


def _answered(
    session: Session, accepted: Sequence[Read], objects: Mapping[str, int], now: datetime, topic_devices: str
) -> Iterable[Refusal]:
    """Settle the commands that objects answered; a refusal for each answer to a command that was never given."""
    answers = [(read, read.content) for read in accepted if isinstance(read.content, CommandAnswer)]
    if not answers:
        return
    # Whoever tells its state without being asked is not looked up one by one.
    waiting = downlink.with_open(session, {objects[read.reference] for read, _ in answers})
    for read, content in answers:
        if content.ids or objects[read.reference] in waiting:
            message = read.message
            said = Answer(
                objects[read.reference],
                content.ids,
                content.status,
                content.reason,
                message.received_at,
                content.route,
            )
            sentence = answer(session, said, now, message.origin, topic_devices=topic_devices)
            if sentence is not None:
                yield Refusal(message, FOREIGN_ANSWER, sentence, read.part)


class _Facts(NamedTuple):
    """All facts of a batch in the order of arrival, which decides between two of one key."""

    rows: Sequence[usage.Row]
    owners: Sequence[int]
    """The place of each one's message."""
    parts: Mapping[int, str]
    """By the place of a fact, the part of the message that it came from, where it has parts."""
    described: Mapping[int, str]
    """By the place of a fact, its properties, where it has any."""


def _in_order(messages: Sequence[Message], quick: Taken, made: Sequence[usage.Fact], door: "Door") -> _Facts:
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
