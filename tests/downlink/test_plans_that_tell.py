"""What plans have their objects told, and service that starts when the object has acknowledged."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlmodel import col, select

from billing import answering, control
from billing.catalogue.problems import CatalogueInvalid
from billing.core.errors import Conflict, Invalid
from config.settings import Settings
from gateway.ingest import ingest_batch
from gateway.message import Message, Rules
from storage import registry
from storage.database import Database
from storage.tables import ContractItem, DeviceCommand, ObjectEvent, Outbox
from tests.usecases.changing import World, contract, fee, noon, plans

RULES = Rules.of(Settings())
APRIL = date(2022, 4, 1)
ALL = "device_commands: [activate, suspend, resume, terminate]"


def world(database: Database, *more: str) -> World:
    """A plan with more keys of its own, each as `key: value`."""
    said = "".join(f"    {key}\n" for key in more)
    return World(database, f"{plans(P=[fee('30')])}{said}contracts:\n{contract('C', 'P')}")


def told(database: Database) -> list[tuple[str, str]]:
    with database.snapshot() as session:
        return [(it.name, it.request_id) for it in session.exec(select(DeviceCommand).order_by(col(DeviceCommand.id)))]


def kinds(database: Database) -> list[str]:
    with database.snapshot() as session:
        return list(session.exec(select(ObjectEvent.kind).order_by(col(ObjectEvent.id))))


def hear(database: Database, request_id: str, status: str, at: datetime) -> None:
    payload = json.dumps({"request_id": request_id, "status": status, "reason": "no credit"}).encode()
    message = Message(topic="devices/IOT_1/commands/ack", payload=payload, received_at=at)
    assert ingest_batch(database, [message], RULES, now=at).refused == {}


def object_status(database: Database) -> str:
    with database.snapshot() as session:
        return registry.find(session, ["IOT_1"])["IOT_1"].status


def test_an_object_is_told_what_its_plan_says(database: Database) -> None:
    it = world(database, ALL, "device_command_expires: 2h")
    it.active("P", APRIL)
    for command in ("suspend", "resume", "terminate"):
        it.do(command, date(2022, 4, 10))
    assert [name for name, _ in told(database)] == ["activate", "suspend", "resume", "terminate"]
    with database.snapshot() as session:
        row = session.exec(select(Outbox).where(col(Outbox.device_command_id).is_not(None))).first()
    assert row is not None
    assert row.topic == "devices/IOT_1/commands"
    assert row.expires_at == row.created_at + timedelta(hours=2)


def test_a_plan_says_it_without_a_new_version(sqlite_database: Database) -> None:
    it = world(sqlite_database)
    it.active("P", APRIL)
    assert told(sqlite_database) == []
    changed = world(sqlite_database, "device_commands: [suspend]")
    changed.do("suspend", APRIL)
    assert [name for name, _ in told(sqlite_database)] == ["suspend"]


def test_service_starts_on_the_local_day_of_the_acknowledgement(database: Database) -> None:
    it = world(database, "starts: on_acknowledgement")
    it.do("create", APRIL, subscription="P", contract="C")
    done = it.do("activate", APRIL, term_months=6)
    assert done.as_json() == {
        "reference": "IOT_1",
        "status": "pending",
        "contract_item": None,
        "awaits_answer": True,
    }
    with pytest.raises(Conflict):
        it.do("activate", date(2022, 4, 1))
    with database.snapshot() as session:
        assert session.exec(select(ContractItem)).all() == []
    answered = datetime(2022, 4, 1, 22, 30, tzinfo=UTC)
    for minutes in (0, 5):
        hear(database, told(database)[0][1], "acknowledged", answered + timedelta(minutes=minutes))
    with database.snapshot() as session:
        item = session.exec(select(ContractItem)).one()
    # In Paris it is the second of April by then.
    assert (item.starts_on, item.ends_on) == (date(2022, 4, 2), date(2022, 10, 2))
    assert object_status(database) == "active"
    assert kinds(database) == ["created", "command_requested", "command_acknowledged", "activated"]
    assert len(told(database)) == 1


@pytest.mark.parametrize("how", ["failed", "expired"])
def test_an_object_that_does_not_acknowledge_stays_pending_and_may_be_asked_again(database: Database, how: str) -> None:
    it = world(database, "starts: on_acknowledgement", "device_command_expires: 1h")
    it.do("create", APRIL, subscription="P", contract="C")
    it.do("activate", APRIL)
    asked = datetime(2022, 4, 1, 10, tzinfo=UTC)
    if how == "failed":
        hear(database, told(database)[0][1], "failed", asked)
    with database.transaction() as session:
        answering.expire(session, asked + timedelta(days=1))
    assert object_status(database) == "pending"
    assert kinds(database)[-2:] == [f"command_{how}", "activation_failed"]
    with database.snapshot() as session:
        event = session.exec(select(ObjectEvent).order_by(col(ObjectEvent.id).desc())).first()
    assert event is not None
    assert event.detail["reason"] == {"failed": "no credit", "expired": "the object did not acknowledge in time"}[how]
    it.do("activate", APRIL)
    first, second = (request_id for _, request_id in told(database))
    assert second == f"{first}-1"
    assert object_status(database) == "pending"


def test_an_acknowledgement_of_an_object_that_ended_meanwhile_makes_no_item(sqlite_database: Database) -> None:
    it = world(sqlite_database, "starts: on_acknowledgement")
    it.do("create", APRIL, subscription="P", contract="C", draft=True)
    it.do("activate", APRIL)
    it.do("terminate", APRIL)
    hear(sqlite_database, told(sqlite_database)[0][1], "acknowledged", datetime(2022, 4, 1, 12, tzinfo=UTC))
    assert kinds(sqlite_database)[-2:] == ["command_acknowledged", "activation_failed"]
    with sqlite_database.snapshot() as session:
        assert session.exec(select(ContractItem)).all() == []


def test_one_activation_may_say_otherwise_than_its_plan(sqlite_database: Database) -> None:
    it = world(sqlite_database, "starts: on_acknowledgement")
    it.do("create", APRIL, subscription="P", contract="C")
    with pytest.raises(Invalid, match="leave out starts_on"):
        it.do("activate", APRIL, starts_on=APRIL)
    it.do("activate", APRIL, starts="at_once", starts_on=APRIL)
    assert object_status(sqlite_database) == "active"


def test_a_length_of_time_is_checked_in_the_file(sqlite_database: Database) -> None:
    with pytest.raises(CatalogueInvalid, match="write a number with s, m, h or d"):
        world(sqlite_database, "device_command_expires: soon")


def test_what_a_plan_has_told_expires_as_the_gateway_says(sqlite_database: Database) -> None:
    world(sqlite_database, ALL)
    create = {"request_id": "c", "contract": "C", "subscription": "P", "activate": True, "starts_on": "2022-04-01"}
    bodies = {"create": create, "suspend": {}, "resume": {}, "terminate": {}}
    for command, body in bodies.items():
        message = control.ControlMessage(
            object_reference="IOT_9", command=command, body=json.dumps({"request_id": "c", **body}).encode()
        )
        with sqlite_database.transaction() as session:
            control.execute(session, message, now=noon(APRIL), expiry_seconds=60)
    with sqlite_database.snapshot() as session:
        commands = session.exec(select(DeviceCommand).order_by(col(DeviceCommand.id))).all()
    assert [each.name for each in commands] == ["activate", "suspend", "resume", "terminate"]
    assert {each.expires_at - each.requested_at for each in commands} == {timedelta(seconds=60)}
