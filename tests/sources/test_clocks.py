"""A time that is not plausible is refused, held for a person, or replaced by the arrival's: as its source says."""

import json
from datetime import datetime, timedelta

import pytest
from sqlmodel import select

from gateway.ingest import Applied, ingest_batch, replay
from gateway.message import Message
from storage import quarantine
from storage.database import Database
from storage.tables import ObjectEvent, UsageRecord
from tests.sources.declaring import declare as declared
from tests.sources.declaring import refusals
from tests.sources.test_from_topic_to_usage import NOON, declare, register, rules

METRICS = "metrics: [{name: usage, unit: unit, kind: delta}]\n"
SOURCE = METRICS + (
    "sources: [{name: box, topic: 'box/{object}', implausible_time: RULE, time: {path: at}, values: {path: v}}]"
)
AHEAD = NOON + timedelta(days=400)


def take(database: Database, *times: datetime, received_at: datetime = NOON) -> Applied:
    batch = [
        Message(
            topic="box/IOT_1",
            payload=json.dumps({"at": at.isoformat(), "v": {"usage": 1}}).encode(),
            received_at=received_at,
        )
        for at in times
    ]
    return ingest_batch(database, batch, rules(database), now=received_at)


def recorded(database: Database) -> list[tuple[datetime, str]]:
    with database.snapshot() as session:
        return sorted(session.exec(select(UsageRecord.occurred_at, UsageRecord.origin)).all())


def begin(database: Database, rule: str) -> None:
    declare(database, SOURCE.replace("RULE", rule))
    register(database, "IOT_1")


def test_refused_it_waits_and_its_replay_is_refused_again(database: Database) -> None:
    begin(database, "refuse")
    assert take(database, AHEAD, NOON).refused == {"implausible_time": 1}
    with database.transaction() as session:
        assert "set the object's clock" in str(replay(session, 1, rules(database), now=NOON))
    assert recorded(database) == [(NOON, "mqtt")]


def test_held_it_waits_until_a_person_takes_it_at_its_own_time(database: Database) -> None:
    begin(database, "hold")
    assert take(database, AHEAD, NOON).refused == {"held_time": 1}
    assert recorded(database) == [(NOON, "mqtt")], "nothing of it is billed by itself"
    with database.transaction() as session:
        (waits,) = quarantine.listed(session)
        assert "its source has it held" in waits.detail
        assert replay(session, 1, rules(database), now=NOON) is None
    assert recorded(database) == [(NOON, "mqtt"), (AHEAD, "replay")]


def test_at_the_arrival_it_is_marked_on_the_record_and_told_once_a_day(database: Database) -> None:
    begin(database, "arrival")
    applied = take(database, AHEAD, AHEAD + timedelta(seconds=1), NOON)
    assert (applied.records, applied.at_arrival, applied.refused) == (3, 2, {})
    assert take(database, AHEAD + timedelta(seconds=2), received_at=NOON + timedelta(hours=1)).at_arrival == 1
    take(database, AHEAD + timedelta(seconds=3), received_at=NOON + timedelta(days=1))
    assert [origin for _, origin in recorded(database)] == ["arrival", "arrival", "mqtt", "arrival", "arrival"]
    with database.snapshot() as session:
        events = session.exec(select(ObjectEvent).order_by(ObjectEvent.occurred_at)).all()  # type: ignore[arg-type]  # SQLModel types a column as its value
        assert [(it.kind, it.occurred_at, it.origin) for it in events] == [
            ("clock_implausible", NOON, "engine"),
            ("clock_implausible", NOON + timedelta(days=1), "engine"),
        ]
        assert events[0].detail == {"stated": AHEAD.isoformat(), "recorded_at": NOON.isoformat()}


def test_the_source_rules_over_its_preset() -> None:
    for rule, reason in (("hold", "held_time"), ("arrival", None)):
        plug = declared(f"sources: [{{name: plug, preset: tasmota, implausible_time: {rule}}}]")
        body = {"Time": "1970-01-01T00:00:09", "ENERGY": {"Total": 1}, "energy": 1}
        topic = "tele/IOT_1/SENSOR"
        if reason is None:
            assert plug.parts(topic, body) is not None
        else:
            assert plug.refusal(topic, body) == reason
    assert refusals("sources: [{name: plug, preset: tasmota, implausible_time: guess}]") != []


@pytest.mark.parametrize("kind", ["clock_implausible", "limit_exceeded"])
def test_no_object_tells_of_itself_what_only_metergate_sees(kind: str, sqlite_database: Database) -> None:
    register(sqlite_database, "IOT_1")
    message = Message(topic="devices/IOT_1/lifecycle", payload=json.dumps({"event": kind}).encode(), received_at=NOON)
    assert ingest_batch(sqlite_database, [message], rules(sqlite_database), now=NOON).refused == {"reserved_event": 1}
