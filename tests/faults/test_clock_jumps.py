"""The clock of the machine jumps by hours and years while messages come: none is lost, and housekeeping goes on."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from config.clock import VirtualClock
from config.settings import Settings
from gateway.ingest import replay
from gateway.message import Rules
from gateway.receiver import Receiver
from storage import quarantine
from storage.database import Database
from storage.tables import MessageInbox, UsageRecord
from tests.brokers import Broker, Peer, eventually
from tests.faults.conftest import TOPIC, assert_exactly, count, sample
from tests.ingest.conftest import REFERENCE

START = datetime(2022, 4, 14, 12, tzinfo=UTC)
JUMPS = [timedelta(hours=6), timedelta(hours=-12), timedelta(days=3650), timedelta(days=-3650), timedelta(hours=1)]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


def test_no_message_is_lost_and_housekeeping_goes_on_when_the_clock_jumps(broker: Broker, database: Database) -> None:
    clock = VirtualClock(START)
    receiver = Receiver(Settings(broker_url=broker.url()), database, clock, lambda *_: None)
    receiver.start()
    expected = []
    try:
        receiver.wait_ready(10)
        with Peer(broker, REFERENCE) as thing:
            for number, jump in enumerate(JUMPS):
                clock.advance(jump)
                expected.append(clock.now())
                thing.publish(TOPIC, sample(number))
                eventually(lambda number=number: count(database) == number + 1, "it is recorded")
            with database.transaction() as session:
                old = clock.now() - timedelta(days=200)
                session.add(MessageInbox(object_id=1, sender_id="old", occurred_at=old, received_at=old))
            clock.advance(timedelta(days=2))
            thing.publish(TOPIC, sample(len(JUMPS)))
            eventually(lambda: not remembered(database, "old"), "the inbox is tidied after a clock that went back")
            eventually(lambda: count(database) == len(JUMPS) + 1, "it is recorded")
    finally:
        receiver.stop()
    with database.snapshot() as session:
        found = session.exec(select(UsageRecord.received_at).order_by(UsageRecord.batch)).all()  # type: ignore[arg-type] # SQLModel types columns as values
    assert list(found[: len(JUMPS)]) == expected
    assert_exactly(database, len(JUMPS) + 1)


def remembered(database: Database, sender_id: str) -> bool:
    with database.snapshot() as session:
        return session.get(MessageInbox, (1, sender_id)) is not None


def test_what_a_wrong_clock_finds_implausible_waits_and_can_be_replayed(broker: Broker, database: Database) -> None:
    clock = VirtualClock(START - timedelta(days=3))
    settings = Settings(broker_url=broker.url())
    receiver = Receiver(settings, database, clock, lambda *_: None)
    receiver.start()
    waits: Callable[[], bool] = lambda: waiting(database) == {"implausible_time": 1}  # noqa: E731 - a condition to wait for
    try:
        receiver.wait_ready(10)
        with Peer(broker, REFERENCE) as thing:
            body = {"id": "0", "ts": START.isoformat(), "metrics": {"usage": 0}}
            thing.publish(TOPIC, json.dumps(body))
            eventually(waits, "it waits in quarantine")
    finally:
        receiver.stop()
    clock.set(START)
    tolerant = Rules.of(settings.model_copy(update={"plausible_future_hours": 24 * 7}))
    with database.transaction() as session:
        (message,) = quarantine.listed(session)
        assert replay(session, message.id or 0, tolerant, now=clock.now()) is None
    assert_exactly(database, 1)


def waiting(database: Database) -> dict[str, int]:
    with database.snapshot() as session:
        return quarantine.counts(session)
