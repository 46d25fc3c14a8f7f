"""Presence: offline when nothing comes, online with the next message, and short changes that are no events."""

import json
from datetime import datetime, timedelta
from itertools import permutations

import pytest
from sqlmodel import col, select

from billing.core.errors import Invalid
from billing.presence import OfflineAfter, look, settle
from config.settings import Settings
from gateway.ingest import ingest_batch
from gateway.message import Message, Rules
from storage import registry
from storage.database import Database
from storage.tables import ConnectedObject, ObjectEvent, ObjectPresence
from tests.ingest.conftest import NOON, REFERENCE, seed

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
AFTER = OfflineAfter.read("1h")
WATCHING = Rules.of(Settings(offline_after="1h"))
DEBOUNCED = Rules.of(Settings(presence_debounce_seconds=30))


def hear(
    database: Database, at: datetime, event: str = "", *, rules: Rules = WATCHING, stated_at: datetime | None = None
) -> None:
    """A message of usage, or of an event, arrives."""
    body = {"event": event} if event else {"metrics": {"usage": 1}}
    said = {**body, "ts": stated_at.isoformat()} if stated_at else body
    leaf = "lifecycle" if event else "telemetry"
    message = Message(topic=f"devices/{REFERENCE}/{leaf}", payload=json.dumps(said).encode(), received_at=at)
    assert ingest_batch(database, [message], rules, now=at).refused == {}


def looked(database: Database, at: datetime, after: OfflineAfter = AFTER) -> int:
    with database.transaction() as session:
        return look(session, after, at)


def settled(database: Database, at: datetime) -> int:
    with database.transaction() as session:
        return settle(session, at)


def told(database: Database) -> list[tuple[str, datetime]]:
    with database.snapshot() as session:
        query = select(ObjectEvent.kind, ObjectEvent.occurred_at).order_by(col(ObjectEvent.occurred_at))
        return [(kind, at) for kind, at in session.exec(query)]


def state(database: Database) -> tuple[bool | None, datetime | None]:
    with database.snapshot() as session:
        row = session.exec(select(ObjectPresence)).one()
    return row.online, row.online_since


def test_an_object_is_offline_when_nothing_came_and_online_with_the_next_message(database: Database) -> None:
    hear(database, NOON)
    assert looked(database, NOON + HOUR) == 0  # a minute is how exactly it is known when it was heard last
    assert [looked(database, NOON + 2 * HOUR), looked(database, NOON + 3 * HOUR)] == [1, 0]
    assert state(database) == (False, NOON + HOUR)
    for minutes in (0, 1):
        hear(database, NOON + 4 * HOUR + timedelta(minutes=minutes))
    assert told(database) == [("offline", NOON + HOUR), ("online", NOON + 4 * HOUR)]
    assert state(database) == (True, NOON + 4 * HOUR)
    assert looked(database, NOON + 6 * HOUR) == 1


def test_an_object_that_says_how_it_is_makes_no_second_event(database: Database) -> None:
    hear(database, NOON, "online")
    assert looked(database, NOON + 2 * HOUR) == 1
    hear(database, NOON + 3 * HOUR, "online")
    assert [kind for kind, _ in told(database)] == ["online", "offline", "online"]
    hear(database, NOON + 4 * HOUR, "offline")
    assert looked(database, NOON + 9 * HOUR) == 0
    assert [kind for kind, _ in told(database)] == ["online", "offline", "online", "offline"]


def test_its_kind_says_how_long_it_may_be_silent(sqlite_database: Database) -> None:
    seed(sqlite_database)
    with sqlite_database.transaction() as session:
        for reference, kind in (("FAST", "tracker"), ("SLOW", "meter"), ("GONE", "tracker")):
            status = "terminated" if reference == "GONE" else "active"
            session.add(ConnectedObject(reference=reference, kind=kind, status=status, created_at=NOON))
    messages = [
        Message(topic=f"devices/{it}/telemetry", payload=b'{"metrics": {"usage": 1}}', received_at=NOON)
        for it in ("FAST", "SLOW", "GONE")
    ]
    ingest_batch(sqlite_database, messages, WATCHING, now=NOON)
    assert looked(sqlite_database, NOON + 2 * HOUR, OfflineAfter.read("tracker=15m, meter=1d")) == 1
    with sqlite_database.snapshot() as session:
        (fast,) = registry.list_objects(session, references=["FAST"])
        presence = registry.presence(session, fast.id)
    assert presence is not None
    assert presence.silent_since == NOON + timedelta(minutes=15)
    with pytest.raises(Invalid):
        OfflineAfter.read("1h, 2h")


def test_a_change_that_does_not_hold_is_no_event(database: Database) -> None:
    for seconds, event in (
        (0, "online"),
        (100, "offline"),
        (110, "online"),
        (200, "offline"),
        (210, "online"),
        (220, "offline"),
    ):
        at = NOON + seconds * SECOND
        hear(database, at, event, rules=DEBOUNCED)
        settled(database, at)
    assert told(database) == [("online", NOON)]
    assert settled(database, NOON + 249 * SECOND) == 0
    assert settled(database, NOON + 250 * SECOND) == 1
    assert told(database) == [("online", NOON), ("offline", NOON + 220 * SECOND)]
    assert state(database) == (False, NOON + 220 * SECOND)


@pytest.mark.parametrize("order", list(permutations(range(4)))[::3])
def test_what_holds_does_not_depend_on_the_order_of_arrival(sqlite_database: Database, order: tuple[int, ...]) -> None:
    seed(sqlite_database)
    reports = [(0, "online"), (60, "offline"), (65, "online"), (200, "offline")]
    for place in order:
        seconds, event = reports[place]
        for _ in range(2):
            hear(sqlite_database, NOON + HOUR, event, rules=DEBOUNCED, stated_at=NOON + seconds * SECOND)
    assert settled(sqlite_database, NOON + HOUR + 30 * SECOND) == 2
    assert told(sqlite_database) == [("online", NOON), ("offline", NOON + 200 * SECOND)]
    assert settled(sqlite_database, NOON + 2 * HOUR) == 0


def test_a_report_that_comes_after_its_time_was_decided_brings_the_timeline_to_what_it_says(database: Database) -> None:
    hear(database, NOON, "offline", rules=DEBOUNCED)
    assert settled(database, NOON + 30 * SECOND) == 1
    hear(database, NOON + 60 * SECOND, "online", rules=DEBOUNCED, stated_at=NOON + 10 * SECOND)
    assert settled(database, NOON + 90 * SECOND) == 1
    assert told(database) == [("offline", NOON), ("online", NOON + 10 * SECOND)]
    assert state(database) == (True, NOON + 10 * SECOND)


def test_what_nobody_listened_to_is_no_silence(database: Database) -> None:
    hear(database, NOON)
    back = NOON + 8 * HOUR
    with database.transaction() as session:
        assert look(session, AFTER, back + timedelta(minutes=1), listening_since=back) == 0
        assert look(session, AFTER, back + timedelta(minutes=62), listening_since=back) == 1
    assert told(database) == [("offline", back + HOUR)]


def test_a_silence_that_has_to_hold_is_told_later(database: Database) -> None:
    hear(database, NOON)
    with database.transaction() as session:
        assert look(session, AFTER, NOON + timedelta(minutes=85), debounce=timedelta(minutes=30)) == 0
        assert look(session, AFTER, NOON + timedelta(minutes=92), debounce=timedelta(minutes=30)) == 1
    assert told(database) == [("offline", NOON + HOUR)]
