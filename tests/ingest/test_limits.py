"""Over its limits an object's messages are sampled, counted and told; the quarantine stays within its own."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from config.settings import Settings
from gateway.ingest import ingest_batch
from gateway.limiting import RateLimit, keep_over_limit
from gateway.message import Message, Rules
from storage import gaps, quarantine
from storage.database import Database
from storage.tables import Metric, ObjectEvent, Quarantine
from tests.ingest.conftest import REFERENCE

NOON = datetime(2022, 4, 14, 12, tzinfo=UTC)
RULES = Rules.of(Settings(limit_metrics=2, limit_sample=3, payload_limit_bytes=100))
MIB = 1_048_576


def said(number: int, *, at: datetime = NOON, reference: str = REFERENCE, metrics: int = 1) -> Message:
    body = {"id": str(number), "metrics": {f"m{nth}": nth for nth in range(metrics)}}
    return Message(topic=f"devices/{reference}/telemetry", payload=json.dumps(body).encode(), received_at=at)


def test_what_is_over_the_limit_of_a_minute_is_told_by_its_place() -> None:
    limit = RateLimit(3)
    other = said(0, reference="OTHER")
    assert limit.over([said(1), other, said(2)]) == []
    assert limit.over([said(3), other, said(4), said(5)]) == [2, 3]
    assert limit.over([said(6)]) == [0]
    assert limit.over([said(7, at=NOON + timedelta(minutes=1))]) == [], "a new minute"
    assert RateLimit(0).over([said(number) for number in range(100)]) == [], "no limit"


def test_of_too_many_messages_a_sample_waits_and_the_rest_is_counted(database: Database) -> None:
    for number in range(0, 10, 5):
        keep_over_limit(database, [said(number + nth) for nth in range(5)], RULES, most=1)
    keep_over_limit(database, [said(20, reference="NOBODY")] * 5, RULES, most=1)
    with database.snapshot() as session:
        assert len(quarantine.listed(session, reason="too_many_messages")) == 6, "three of each"
        (gap,) = gaps.listed(session)
        assert (gap.object_reference, gap.gap.reason, gap.gap.lost) == (REFERENCE, "limit_exceeded", 7)
        (event,) = session.exec(select(ObjectEvent).where(ObjectEvent.kind == "limit_exceeded")).all()
        assert event.detail["limit"] == "too_many_messages"
        assert [(row.reason, row.messages) for row in quarantine.overflow(session)] == [("too_many_messages", 2)]


def test_an_hour_later_it_is_sampled_and_told_again(database: Database) -> None:
    for hour in range(2):
        at = NOON + timedelta(hours=hour)
        keep_over_limit(database, [said(nth, at=at) for nth in range(5)], RULES, most=1)
    with database.snapshot() as session:
        assert len(quarantine.listed(session)) == 6
        assert [it.gap.lost for it in gaps.listed(session)] == [2, 2]
        assert len(session.exec(select(ObjectEvent).where(ObjectEvent.kind == "limit_exceeded")).all()) == 2


@pytest.mark.parametrize("reason", ["too_many_metrics", "too_large"])
def test_large_messages_are_sampled_too(reason: str, database: Database) -> None:
    messages = [said(number, metrics=3) for number in range(5)]
    if reason == "too_large":
        for message in messages:
            message.payload += b" " * 200
    with database.transaction() as session:
        session.add_all(Metric(name=f"m{nth}", unit="unit", kind="delta") for nth in range(3))
    assert ingest_batch(database, messages, RULES, now=NOON).refused == {reason: 5}
    with database.snapshot() as session:
        assert [row.reason for row in quarantine.listed(session)] == [reason] * 3
        assert [it.gap.lost for it in gaps.listed(session)] == [2]


def put(database: Database, topic: str, size: int) -> bool:
    with database.transaction() as session:
        return quarantine.put(
            session,
            topic=topic,
            payload=b"x" * size,
            retained=False,
            received_at=NOON,
            reason="bad_json",
            detail="",
            object_reference=REFERENCE,
        )


def tidy(database: Database, *, days: int = 90) -> int:
    with database.transaction() as session:
        return quarantine.tidy(session, resolved_before=NOON - timedelta(days=days), limit_bytes=MIB)


def test_what_waits_is_never_deleted_and_what_has_no_room_is_counted(database: Database) -> None:
    tidy(database)
    half = MIB // 2
    assert [put(database, f"t{nth}", half) for nth in range(4)] == [True, True, False, False]
    assert tidy(database) == 0
    with database.transaction() as session:
        assert [row.topic for row in quarantine.listed(session)] == ["t0", "t1"]
        assert [(row.reason, row.messages) for row in quarantine.overflow(session)] == [("bad_json", 2)]
        assert [it.gap.lost for it in gaps.listed(session)] == [2]
        quarantine.resolve(session, quarantine.listed(session)[0], status="discarded", now=NOON)
    assert put(database, "t4", half) is False, "room is made by the housekeeping"
    assert tidy(database) == 0, "within the limit, what is done is kept for its days"
    with database.transaction() as session:
        session.add(Quarantine(topic="t5", payload=b"x", received_at=NOON, reason="bad_json", detail=""))
    assert tidy(database) == 1, "over it, the oldest that is done goes first"
    assert put(database, "t6", 10) is True


def test_what_is_done_is_deleted_after_its_days(database: Database) -> None:
    assert put(database, "t", 10)
    with database.transaction() as session:
        (row,) = quarantine.listed(session)
        quarantine.resolve(session, row, status="replayed", now=NOON - timedelta(days=2))
    assert tidy(database, days=3) == 0
    assert tidy(database, days=1) == 1
