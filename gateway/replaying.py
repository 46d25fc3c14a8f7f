"""Taking quarantined messages in again: in bulk by command, and by itself once their object is registered.

The law: a message comes in whole or waits on, a batch of them is one transaction, and doing it again gives nothing.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import Session

from config.clock import Clock
from config.settings import Settings
from gateway.ingest import replay
from gateway.message import Rules
from gateway.sources.stored import load
from storage import births, quarantine
from storage.database import Database
from storage.errors import StorageError
from storage.locks import claim
from storage.quarantine import Which

log = logging.getLogger(__name__)
BATCH = 200
"""Messages of one transaction: others write in between."""
OVERLAP = 1_000
"""Ids looked at again: on PostgreSQL an object may be committed after one with a greater id."""


@dataclass(slots=True, kw_only=True)
class Replayed:
    """What a replay came to; `stayed` has a sentence for each message that waits on."""

    done: int = 0
    stayed: dict[int, str] = field(default_factory=dict)


def replay_all(
    database: Database,
    settings: Settings,
    which: Which,
    *,
    now: datetime,
    tell: Callable[[Replayed], None] = lambda _so_far: None,
) -> Replayed:
    """Take in all that waits and that `which` names, in batches; `tell` hears how far it is after each.

    Raises StorageError when the database is at fault: what was done by then is done, and the rest waits.
    """
    total = Replayed()
    after = 0
    while True:
        with database.transaction() as session:
            rows = quarantine.listed(session, which=which, after=after, limit=BATCH)
            ids = [row.id for row in rows if row.id is not None]
            if not ids:
                return total
            _replay(session, ids, Rules.of(settings, load(session)), now, total)
        after = ids[-1]
        tell(total)


def discard_all(database: Database, which: Which, *, now: datetime) -> int:
    """Give up all that waits and that `which` names, in batches; how many they were. They stay listed."""
    count = 0
    while True:
        with database.transaction() as session:
            messages = quarantine.listed(session, which=which, limit=BATCH)
            for message in messages:
                quarantine.resolve(session, message, status="discarded", now=now)
        count += len(messages)
        if len(messages) < BATCH:
            return count


class Replayer:
    """Takes in what waited for an object, once that is registered."""

    def __init__(self, database: Database, clock: Clock, settings: Settings, *, batch: int = BATCH) -> None:
        self._batch = batch
        self._database = database
        self._clock = clock
        self._settings = settings
        self._seen = -1
        self._births = -1

    def look(self) -> int:
        """Take in what waited for objects, or for Sparkplug births, that came since the last look; how many messages.

        Raises StorageError.
        """
        return self._named() + self._registered()

    def _named(self) -> int:
        """What waited for the birth that names its values."""
        with self._database.snapshot() as session:
            revision = births.revision(session)
        if revision == self._births:
            return 0
        came = replay_all(self._database, self._settings, Which(reason="no_birth"), now=self._clock.now())
        self._births = revision
        return came.done

    def _registered(self) -> int:
        with self._database.snapshot() as session:
            newest = quarantine.newest_object(session)
            first = max(0, self._seen - OVERLAP)
            if newest == self._seen or not quarantine.waiting_for(session, registered_after=first, limit=1):
                self._seen = newest
                return 0
        total = Replayed()
        while True:
            with self._database.transaction() as session:
                if not claim(session, "replay"):
                    return total.done  # another process is at it; the next look sees what it left
                ids = quarantine.waiting_for(session, registered_after=first, limit=self._batch)
                if not ids:
                    break
                # One that stays does so for another reason now, so that this comes to its end.
                _replay(session, ids, Rules.of(self._settings, load(session)), self._clock.now(), total)
        self._seen = newest
        log.info("%d messages waited for objects that are registered now, and are in", total.done)
        for identity, sentence in total.stayed.items():
            log.warning("message %d waits on: %s", identity, sentence)
        return total.done


def _replay(session: Session, ids: Sequence[int], rules: Rules, now: datetime, total: Replayed) -> None:
    for identity in ids:
        try:
            refusal = replay(session, identity, rules, now=now)
        except StorageError:
            raise
        except Exception as error:
            log.exception("message %d could not be replayed", identity)
            row = quarantine.find(session, identity)
            refusal = f"{type(error).__name__}: {error}"
            if row is not None:
                quarantine.explain(session, row, reason="failed", detail=refusal)
        if refusal is None:
            total.done += 1
        else:
            total.stayed[identity] = refusal
