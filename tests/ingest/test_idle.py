"""When the receiver says that all is stored, and what a fault beside a batch does to it: nothing."""

import threading
import time
from collections.abc import Sequence

from sqlalchemy import text
from sqlmodel import select

from config.clock import VirtualClock
from config.settings import Settings
from gateway.links.link import LinkOptions, Publication
from gateway.receiver import QUIET_SECONDS, Receiver
from storage.database import Database
from storage.tables import Quarantine
from tests.brokers import eventually
from tests.ingest.conftest import NOON


class Feeding:
    """A link that gives out one message after the other, until it has no more."""

    def __init__(self, _options: LinkOptions, messages: int = 10**9) -> None:
        self._left = messages
        self._over = threading.Event()

    def open(self) -> bool:
        return True

    def receive(self, _limit: int) -> Sequence[Publication]:
        if not self._left:
            self._over.wait()
        if self._over.wait(QUIET_SECONDS / 10):
            return []
        self._left -= 1
        return [Publication("devices/NOBODY/telemetry", b"no JSON", 7, False, None, None, None)]

    def stands(self) -> bool:
        return True

    def acknowledge(self, packet_ids: Sequence[int]) -> None: ...

    def join(self, filters: Sequence[str]) -> None: ...

    def leave(self, filters: Sequence[str]) -> None: ...

    def interrupt(self) -> None:
        self._over.set()

    def close(self) -> None: ...


def test_between_two_batches_of_a_backlog_nothing_is_idle(sqlite_database: Database) -> None:
    receiver = Receiver(Settings(), sqlite_database, VirtualClock(NOON), lambda *_: None, make_link=Feeding)
    receiver.start()
    receiver.wait_ready(10)
    deadline = time.monotonic() + 0.5
    said = set()
    while time.monotonic() < deadline:
        said.add(receiver.idle)
        time.sleep(0.0005)
    receiver.stop()
    assert receiver.stored > 0
    assert said == {False}


def test_what_is_forgotten_later_takes_no_batch_in_again(sqlite_database: Database) -> None:
    with sqlite_database.transaction() as session:
        session.connection().execute(text("ALTER TABLE message_inbox RENAME TO away"))
    receiver = Receiver(
        Settings(), sqlite_database, VirtualClock(NOON), lambda *_: None, make_link=lambda options: Feeding(options, 1)
    )
    receiver.start()
    eventually(lambda: receiver.stored == 1, "it is stored")
    eventually(lambda: receiver.idle, "and nothing else is in hand")
    receiver.stop()
    with sqlite_database.snapshot() as session:
        assert [row.reason for row in session.exec(select(Quarantine))] == ["bad_json"]
