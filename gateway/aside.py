"""What a batch says beside usage and is kept with it: births, where objects are heard, and who is there."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from gateway.message import Rules
from gateway.sources.codecs.sparkplug import rebirth
from storage import births, downlink, inactivity, outbox, presence, settling
from storage.types import to_micros

REBIRTH_EXPIRES = timedelta(minutes=5)
"""A rebirth that is asked for later was asked for again by then."""


def keep_births(session: Session, rules: Rules, now: datetime) -> None:
    """Keep what Sparkplug births said, and ask for those that are missing."""
    if rules.sources.births.changed:
        births.keep(session, rules.sources.births.changed, now=now)
    for topic in rules.sources.births.asked:
        asking = rebirth(to_micros(now) // 1000)
        outbox.put_bytes(session, topic, asking, now=now, expires_at=now + REBIRTH_EXPIRES)


def keep_addresses(
    session: Session, rules: Rules, objects: Mapping[str, int], now: datetime, *, replayed: bool
) -> None:
    """Keep through which topics objects are heard that may be commanded there; others wait until they are known.

    What is replayed says where they were once: it takes nothing from what is known.
    """
    addressed = rules.sources.addressed
    kept = rules.sources.kept = {reference for reference in addressed if reference in objects}
    if kept:
        heard = {objects[reference]: addressed[reference] for reference in kept}
        downlink.keep_addresses(session, heard, now, only_new=replayed)


def note_presence(
    session: Session,
    heard: Mapping[int, int],
    reports: Sequence[presence.Reported],
    rules: Rules,
    *,
    now: datetime,
    origin: str,
) -> int:
    """Note who was heard and what was reported; how many events that makes at once."""
    later = [it for it in reports if it.debounce and it.online is not None]
    told = {it.object_id for it in reports if it.online is not None}
    made = 0
    if rules.watches_silence and heard:
        made += inactivity.heard_again(session, heard, told, now)
    if later:
        settling.keep(session, later, now=now, origin=origin)
    reports = [it for it in reports if not (it.debounce and it.online is not None)]
    return made + presence.touch(session, heard=heard, reports=reports, now=now, origin=origin)
