"""What objects report of themselves: events once, presence by the newest report."""

from collections.abc import Callable
from datetime import timedelta
from itertools import permutations

import pytest
from sqlmodel import select

from gateway.ingest import ingest_batch
from gateway.message import Message, Rules
from storage import quarantine
from storage.database import Database
from storage.tables import ObjectEvent, ObjectPresence
from tests.ingest.conftest import NOON, seed

Make = Callable[..., Message]


def events(database: Database) -> list[str]:
    with database.snapshot() as session:
        return list(session.exec(select(ObjectEvent.kind).order_by(ObjectEvent.id)))  # type: ignore[arg-type]


def presence(database: Database) -> ObjectPresence:
    with database.snapshot() as session:
        return session.exec(select(ObjectPresence)).one()


def test_online_and_offline_are_events_and_presence(database: Database, rules: Rules, message: Make) -> None:
    ingest_batch(database, [message({"event": "online"}, leaf="lifecycle")], rules, now=NOON)
    later = NOON + timedelta(hours=1)
    ingest_batch(database, [message({"event": "offline"}, leaf="lifecycle", at=later)], rules, now=later)
    assert events(database) == ["online", "offline"]
    now = presence(database)
    assert (now.online, now.online_since, now.last_seen_at) == (False, later, later)


@pytest.mark.parametrize(
    "body", [{"event": "online"}, {"id": "7", "event": "online"}, {"ts": "2022-04-14T10:00:00Z", "event": "boot"}]
)
def test_a_repeated_report_is_one_event(database: Database, rules: Rules, message: Make, body: object) -> None:
    for hour in range(3):
        at = NOON + timedelta(hours=hour)
        report = message(body, leaf="lifecycle", at=at, retained=hour == 1)
        ingest_batch(database, [report], rules, now=at)
    assert len(events(database)) == 1


def test_an_older_report_does_not_override_a_newer_one(database: Database, rules: Rules, message: Make) -> None:
    new = message({"ts": "2022-04-14T11:00:00Z", "event": "offline"}, leaf="lifecycle")
    old = message({"ts": "2022-04-14T10:00:00Z", "event": "online"}, leaf="lifecycle")
    ingest_batch(database, [new, old], rules, now=NOON)
    assert presence(database).online is False
    assert events(database) == ["offline", "online"]


def test_an_object_cannot_claim_its_own_activation(database: Database, rules: Rules, message: Make) -> None:
    ingest_batch(database, [message({"event": "activated"}, leaf="lifecycle")], rules, now=NOON)
    assert events(database) == []
    with database.snapshot() as session:
        assert quarantine.counts(session) == {"reserved_event": 1}


def test_usage_moves_last_seen(database: Database, rules: Rules, message: Make) -> None:
    ingest_batch(database, [message({"metrics": {"usage": 1}})], rules, now=NOON)
    assert presence(database).last_seen_at == NOON
    assert presence(database).online is None


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_since_when_an_object_is_offline_does_not_depend_on_the_order_of_arrival(
    sqlite_database: Database, message: Make, rules: Rules, order: tuple[int, ...]
) -> None:
    seed(sqlite_database)
    told = [
        {"id": str(hour), "ts": f"2022-04-14T{hour:02d}:00:00Z", "event": event}
        for hour, event in ((1, "offline"), (2, "online"), (3, "offline"), (4, "disconnected"))
    ]
    for place in order:
        ingest_batch(sqlite_database, [message(told[place], leaf="lifecycle")], rules, now=NOON)
    now = presence(sqlite_database)
    assert (now.online, now.online_since) == (False, NOON.replace(hour=3, minute=0))
