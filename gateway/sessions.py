"""Watches over what the broker keeps for us: when it lost our session, or dropped messages, the gap is recorded.

The law: a gap is never forgotten for a fault of the database; it is written as soon as the database is there again.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from config.clock import Clock
from storage import gaps
from storage.database import Database
from storage.errors import StorageError
from storage.tables import ReceptionGap

log = logging.getLogger(__name__)
HELD_SECONDS = 30.0
"""How often it is noted that a session stands and all it had is stored: a gap begins this much early at most."""
RETRY_SECONDS = 1.0
PENDING_MAX = 1000
"""Notes kept while the database is away; a broker that loses its sessions more often than that is beyond repair."""


@dataclass(frozen=True, slots=True)
class _Note:
    session_present: bool
    caught_up: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class _Drops:
    dropped: int
    at: datetime


class SessionKeeper:
    """A thread of its own, so that neither the network nor the ingest waits for it."""

    def __init__(
        self, database: Database, clock: Clock, *, client_id: str, broker: str, caught_up: Callable[[], bool]
    ) -> None:
        """`caught_up` says whether all that was received is stored; it must not wait."""
        self._caught_up = caught_up
        self._database = database
        self._clock = clock
        self._client_id = client_id
        self._broker = broker
        self._connected = False
        self._stopping = False
        self._pending: deque[_Note | _Drops] = deque(maxlen=PENDING_MAX)
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="session", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """Write what is pending, when the database is there, and end."""
        with self._changed:
            if self._connected:
                self._add(session_present=True, caught_up=self._caught_up())
            self._stopping = True
            self._changed.notify()
        self._thread.join(timeout_seconds)

    def on_connected(self, session_present: bool) -> None:  # noqa: FBT001 - the receiver's callback
        """The broker answered a connection; `session_present` is its word on the session."""
        with self._changed:
            self._connected = True
            self._add(session_present=session_present, caught_up=False)
            self._changed.notify()

    def on_drops(self, dropped: int, at: datetime) -> None:
        """The broker said how many messages it dropped since it was started."""
        with self._changed:
            last = self._pending[-1] if self._pending else None
            if isinstance(last, _Drops) and last.dropped <= dropped:
                self._pending.pop()  # a smaller number is that of a broker that was started anew
            self._pending.append(_Drops(dropped, at))
            self._changed.notify()

    def _add(self, *, session_present: bool, caught_up: bool) -> None:
        last = self._pending[-1] if self._pending else None
        if session_present and isinstance(last, _Note) and last.session_present:
            if not caught_up:
                return  # it says nothing new
            self._pending.pop()
        self._pending.append(_Note(session_present, caught_up, self._clock.now()))

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._pending and not self._stopping:
                    self._changed.wait(HELD_SECONDS)
                if self._connected and not self._pending:
                    self._add(session_present=True, caught_up=self._caught_up())
                stopping = self._stopping
            written = self._write()
            if stopping:
                return
            if not written:
                with self._changed:
                    if not self._stopping:
                        self._changed.wait(RETRY_SECONDS)

    def _note(self, session: Session, note: _Note | _Drops) -> ReceptionGap | None:
        who = {"client_id": self._client_id, "broker": self._broker}
        if isinstance(note, _Drops):
            return gaps.note_drops(session, **who, dropped=note.dropped, at=note.at)
        return gaps.note_session(
            session, **who, session_present=note.session_present, caught_up=note.caught_up, at=note.at
        )

    def _write(self) -> bool:
        """Write the notes in order; False when the database is at fault."""
        while True:
            with self._changed:
                if not self._pending:
                    return True
                note = self._pending.popleft()
            try:
                with self._database.transaction() as session:
                    gap = self._note(session, note)
            except Exception as error:
                log.warning(
                    "the state of the broker's session waits for the database: %s",
                    error,
                    exc_info=not isinstance(error, StorageError),
                )
                with self._changed:
                    self._pending.appendleft(note)
                return False
            if gap is None:
                continue
            if isinstance(note, _Drops):
                said = "the broker %s dropped %d messages; the gap is recorded (`metergate gaps list`)"
                log.error(said, self._broker, gap.lost)
            else:
                log.error(
                    "the broker %s lost the session of %s: what it took between %s and %s and had not delivered is "
                    "gone; the gap is recorded (`metergate gaps list`)",
                    self._broker,
                    self._client_id,
                    gap.starts_at.isoformat(timespec="seconds"),
                    note.at.isoformat(timespec="seconds"),
                )
