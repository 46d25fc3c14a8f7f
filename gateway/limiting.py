"""Limits of what one object may send: over them a sample waits in quarantine, the rest is counted, an alarm is raised.

The law: what is not kept is counted in a gap of its object; the count of a minute costs a batch, not a message.
"""

import contextlib
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter

from sqlmodel import Session

from gateway.attached import as_kept
from gateway.message import Message, Refusal, Rules
from gateway.reading import address_of
from gateway.telemetry import Unreadable
from storage import lost, quarantine
from storage.alarms import raise_once
from storage.database import Database

TOO_MANY = "too_many_messages"
LIMITED = frozenset({TOO_MANY, "too_large", "too_many_metrics"})
"""Reasons of which a sample is kept: whoever sends too much sends it again and again."""
_topic = attrgetter("topic")


class RateLimit:
    """Counts the messages of each topic in a minute; one receiver's."""

    def __init__(self, messages_a_minute: int) -> None:
        self._most = messages_a_minute
        self._minute: datetime | None = None
        self._counts: Counter[str] = Counter()

    def over(self, messages: Sequence[Message]) -> list[int]:
        """The places of those that are over the limit. Each message is counted once: it is not asked for again."""
        if not self._most or not messages:
            return []
        minute = messages[0].received_at.replace(second=0, microsecond=0)
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()
        counts = self._counts
        before = {topic: counts[topic] for topic in set(map(_topic, messages))}
        counts.update(map(_topic, messages))
        exceeding = {topic for topic in before if counts[topic] > self._most}
        if not exceeding:
            return []
        places = []
        for place, message in enumerate(messages):
            if message.topic in exceeding:
                before[message.topic] += 1
                if before[message.topic] > self._most:
                    places.append(place)
        return places


def keep_over_limit(database: Database, messages: Sequence[Message], rules: Rules, *, most: int) -> None:
    """Quarantine a sample of messages that are over the limit, and count the others, in one transaction."""
    sentence = f"more than {most} messages a minute on this topic (METERGATE_LIMIT_MESSAGES_MINUTE)"
    with database.transaction() as session:
        keep_all(session, [Refusal(message, TOO_MANY, sentence) for message in messages], rules)


def keep_all(session: Session, refusals: Sequence[Refusal], rules: Rules) -> None:
    """Quarantine what is refused; of what is over a limit, a sample an hour: the rest costs a few statements in all."""
    limited: dict[tuple[str, str | None, str | None, datetime], list[Refusal]] = {}
    for refusal in refusals:
        source, reference = _whose(refusal, rules)
        if refusal.reason not in LIMITED:
            _keep(session, refusal, source, reference)
            continue
        # Where the object is not known, a topic is as good.
        who = refusal.message.topic if reference is None else None
        window = lost.window_of(refusal.message.received_at)
        limited.setdefault((refusal.reason, reference or who, source, window), []).append(refusal)
    for alike in limited.values():
        _keep_sample(session, alike, rules)


def _whose(refusal: Refusal, rules: Rules) -> tuple[str | None, str | None]:
    """The source and the object of a refused message, as far as they are known."""
    message = refusal.message
    route = None if message.topic.startswith(f"{rules.topic_devices}/") else rules.sources.route(message.topic)
    reference = refusal.part
    if reference is None and route is not None:
        reference = route.reference
    elif reference is None:
        with contextlib.suppress(Unreadable):
            reference = address_of(message.topic, rules.topic_devices)[0]
    return None if route is None else route.source, reference


def _keep(session: Session, refusal: Refusal, source: str | None, reference: str | None) -> None:
    message = refusal.message
    quarantine.put(
        session,
        topic=message.topic,
        payload=message.payload,
        retained=message.retained,
        received_at=message.received_at,
        reason=refusal.reason,
        detail=refusal.detail,
        object_reference=reference,
        source=source,
        part=refusal.part,
        properties=as_kept(message.attached),
    )


def _keep_sample(session: Session, alike: Sequence[Refusal], rules: Rules) -> None:
    """Of messages of one object over one limit in one hour: the sample, the alarm, and the number of the others."""
    first, last = alike[0], alike[-1].message.received_at
    source, reference = _whose(first, rules)
    message, reason = first.message, first.reason
    since = lost.window_of(message.received_at)
    identity = lost.object_id(session, reference)
    if identity is not None:
        raise_once(
            session,
            identity,
            kind="limit_exceeded",
            window=f"{reason} {since:%Y-%m-%dT%H}",
            occurred_at=message.received_at,
            now=message.received_at,
            detail={"limit": reason, "detail": first.detail},
        )
    kept = quarantine.kept_since(session, reason=reason, since=since, reference=reference, topic=message.topic)
    sample = max(rules.sample - kept, 0)
    for refusal in alike[:sample]:
        _keep(session, refusal, source, reference)
    uncounted = len(alike) - sample
    if uncounted <= 0:
        return
    if identity is None:
        quarantine.count_lost(session, reason=reason, source=source or "", at=last, messages=uncounted)
    else:
        lost.note_lost(session, identity, source=source or "", at=last, now=last, messages=uncounted)
