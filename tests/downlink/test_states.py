"""Commands to objects: every pair of a state and a step, and every kind of answer, on both databases."""

import json
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, get_args

import pytest
from sqlmodel import col, select

from billing import answering, downlink
from billing.core.device_commands import COMMAND_TRANSITIONS, CommandStatus, Step, after
from billing.core.errors import Conflict, Invalid, NotFound, Refused
from billing.recording import Said
from config.settings import Settings
from gateway.ingest import ingest_batch
from gateway.message import Message, Rules
from storage import downlink as stored
from storage import quarantine
from storage.database import Database
from storage.tables import ConnectedObject, DeviceCommand, ObjectEvent, Outbox

NOON = datetime(2022, 4, 14, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
RULES = Rules.of(Settings())


def register(database: Database, *references: str) -> None:
    with database.transaction() as session:
        for reference in references:
            session.add(ConnectedObject(reference=reference, status="active", created_at=NOON))


def send(database: Database, reference: str = "A", key: str = "r1", name: str = "reboot", **body: Any) -> None:
    with database.transaction() as session:
        new = downlink.NewCommand(name=name, body=body, expires_in=HOUR)
        downlink.send(session, reference, new, Said(now=NOON, origin="control", key=key))


def leave(database: Database, at: datetime = NOON) -> None:
    """All that waits in the outbox was published."""
    with database.transaction() as session:
        ids = [it for it in session.exec(select(Outbox.device_command_id)) if it is not None]
        downlink.note_sent(session, ids, at)


def hear(database: Database, body: Any, *, reference: str = "A", at: datetime = NOON) -> None:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    message = Message(topic=f"devices/{reference}/commands/ack", payload=payload, received_at=at)
    ingest_batch(database, [message], RULES, now=at)


def expire(database: Database, at: datetime) -> int:
    with database.transaction() as session:
        return answering.expire(session, at)


def status(database: Database) -> str:
    with database.snapshot() as session:
        return session.exec(select(DeviceCommand.status)).one()


def events(database: Database) -> list[str]:
    with database.snapshot() as session:
        kinds = session.exec(select(ObjectEvent.kind).order_by(col(ObjectEvent.id)))
        return [kind.removeprefix("command_") for kind in kinds]


def refused(database: Database) -> dict[str, int]:
    with database.snapshot() as session:
        return quarantine.counts(session)


@pytest.mark.parametrize("status,step", list(product(CommandStatus, get_args(Step))))
def test_a_settled_command_takes_no_step_and_an_open_one_each(status: CommandStatus, step: Step) -> None:
    open_ones = {CommandStatus.REQUESTED, CommandStatus.SENT}
    expected = status in open_ones and (status, step) != (CommandStatus.SENT, "send")
    assert ((status, step) in COMMAND_TRANSITIONS) is (after(status, step) is not None) is expected


def test_a_command_is_sent_and_acknowledged(database: Database) -> None:
    register(database, "A")
    send(database, delay=5)
    with database.snapshot() as session:
        row = session.exec(select(Outbox)).one()
    assert (row.topic, row.retain, row.expires_at) == ("devices/A/commands", 0, NOON + HOUR)
    assert json.loads(row.payload) == {
        "request_id": "r1",
        "command": "reboot",
        "expires_at": "2022-04-14T13:00:00+00:00",
        "body": {"delay": 5},
    }
    leave(database)
    leave(database, NOON + HOUR)
    assert status(database) == "sent"
    for minute in (1, 2):
        hear(database, {"request_id": "r1", "status": "acknowledged"}, at=NOON + timedelta(minutes=minute))
    assert (status(database), refused(database)) == ("acknowledged", {})
    assert expire(database, NOON + 2 * HOUR) == 0
    assert events(database) == ["requested", "sent", "acknowledged"]
    with database.snapshot() as session:
        (command,) = stored.of_object(session, 1)
    assert (command.sent_at, command.answered_at) == (NOON, NOON + timedelta(minutes=1))


def test_an_answer_may_be_stored_before_it_is_known_that_the_command_left(database: Database) -> None:
    register(database, "A")
    send(database)
    hear(database, {"request_id": "r1", "status": "failed", "reason": "locked"})
    leave(database)
    assert (status(database), events(database)) == ("failed", ["requested", "failed", "sent"])


def test_what_is_lost_expires_once_and_a_late_answer_changes_nothing_more(database: Database) -> None:
    register(database, "A")
    send(database)
    leave(database)
    assert expire(database, NOON + HOUR - timedelta(seconds=1)) == 0
    assert [expire(database, NOON + HOUR), expire(database, NOON + HOUR)] == [1, 0]
    for _ in range(2):
        hear(database, {"request_id": "r1", "status": "acknowledged"}, at=NOON + 2 * HOUR)
    assert (status(database), refused(database)) == ("expired", {})
    assert events(database) == ["requested", "sent", "expired", "late"]


def test_an_answer_after_the_expiry_is_late_though_nobody_had_looked_yet(database: Database) -> None:
    register(database, "A")
    send(database)
    hear(database, {"request_id": "r1", "status": "acknowledged"}, at=NOON + HOUR + timedelta(seconds=1))
    assert (status(database), events(database)) == ("expired", ["requested", "expired", "late"])


def test_answers_of_others_and_to_nothing_wait_in_quarantine(database: Database) -> None:
    register(database, "A", "B")
    send(database)
    hear(database, {"request_id": "r1", "status": "acknowledged"}, reference="B")
    hear(database, {"request_id": "r2", "status": "acknowledged"})
    hear(database, {"request_id": "r1", "status": "perhaps"})
    hear(database, b"\xff")
    assert status(database) == "requested"
    assert refused(database) == {"foreign_answer": 2, "bad_shape": 1, "bad_json": 1}


def test_a_request_id_is_one_command_of_its_object(database: Database) -> None:
    register(database, "A", "B")
    send(database)
    send(database)
    send(database, "B")
    with pytest.raises(Conflict):
        send(database, name="halt")
    for key in ("", ""):
        send(database, key=key)
    with database.snapshot() as session:
        assert len(session.exec(select(Outbox)).all()) == 4


@pytest.mark.parametrize(
    "reference,name,body,error",
    [
        ("C", "reboot", {}, NotFound),
        ("GONE", "reboot", {}, Refused),
        ("A", "", {}, Invalid),
        ("A", "x", {"y": "z" * 20_000}, Invalid),
    ],
)
def test_what_cannot_be_told_is_refused(
    database: Database, reference: str, name: str, body: dict[str, Any], error: type[Exception]
) -> None:
    register(database, "A")
    with database.transaction() as session:
        session.add(ConnectedObject(reference="GONE", status="terminated", created_at=NOON))
    with pytest.raises(error):
        send(database, reference, name=name, **body)
    with database.snapshot() as session:
        assert session.exec(select(Outbox)).all() == []


def test_an_object_cannot_say_that_it_acknowledged(sqlite_database: Database) -> None:
    register(sqlite_database, "A")
    body = json.dumps({"event": "command_acknowledged"}).encode()
    message = Message(topic="devices/A/lifecycle", payload=body, received_at=NOON)
    ingest_batch(sqlite_database, [message], RULES, now=NOON)
    assert refused(sqlite_database) == {"reserved_event": 1}
