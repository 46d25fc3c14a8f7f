"""Control messages: done once, answered always, and a bad one changes nothing."""

import json
from typing import Any

import pytest
from sqlmodel import Session, col, func, select

from billing.control import ControlMessage, execute
from storage import registry
from storage.tables import ControlRequest, InvoicingSchedule, ObjectEvent, Outbox
from tests.usecases.conftest import NOW

REF = "IOT_NS542"
ALL = {
    "customer": "FLEET",
    "contract": "IOT Fleet Contract",
    "subscription": "Premium Fleet Subscription",
}


def send(session: Session, command: str, body: object, **options: Any) -> dict[str, Any]:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    message = ControlMessage(object_reference=options.pop("reference", REF), command=command, body=payload, **options)
    execute(session, message, NOW)
    row = session.exec(
        select(Outbox).where(col(Outbox.topic).endswith("/reply")).order_by(col(Outbox.id).desc())
    ).first()
    assert row is not None
    assert row.topic == f"control/objects/{message.object_reference}/{command}/reply"
    assert (row.retain, row.expires_at is not None) == (0, True)
    reply: dict[str, Any] = json.loads(row.payload)
    return reply


def rows(session: Session, table: Any) -> int:
    return session.exec(select(func.count()).select_from(table)).one()


def test_create_then_activate_gives_the_item_and_its_schedules(session: Session) -> None:
    created = send(session, "create", {"request_id": "1", "attributes": {"site": "Lyon", "lat": 45.76}})
    assert created["result"]["status"] == "pending"
    reply = send(session, "activate", {"request_id": "2", **ALL, "starts_on": "2022-04-01"})
    assert (reply["request_id"], reply["ok"]) == ("2", True)
    assert reply["result"]["contract_item"]["last_day"] == "2023-03-31"
    assert rows(session, InvoicingSchedule) == 12


def test_create_may_activate_in_the_same_request(session: Session) -> None:
    reply = send(session, "create", {"request_id": "1", "activate": True, "draft": True, **ALL})
    assert reply["result"]["status"] == "active"
    assert rows(session, ObjectEvent) == 3


def test_a_create_that_cannot_activate_creates_nothing(session: Session) -> None:
    reply = send(session, "create", {"request_id": "1", "activate": True, "contract": ALL["contract"]})
    assert reply["error"]["code"] == "invalid"
    assert registry.list_objects(session) == []


def test_a_repeat_gets_the_first_answer_and_another_body_is_a_conflict(session: Session) -> None:
    first = send(session, "create", {"request_id": "1", "activate": True, **ALL})
    events = rows(session, ObjectEvent)
    assert send(session, "create", {**ALL, "activate": True, "request_id": "1"}) == first
    other = send(session, "create", {"request_id": "1"})
    assert other["error"]["code"] == "conflict"
    assert send(session, "create", {"request_id": "1", "activate": True, **ALL}) == first
    assert rows(session, ObjectEvent) == events
    assert rows(session, ControlRequest) == 1


def test_one_request_id_serves_several_objects_and_commands(session: Session) -> None:
    for reference in ("A", "B"):
        assert send(session, "create", {"request_id": "1"}, reference=reference)["ok"]
        assert send(session, "terminate", {"request_id": "1"}, reference=reference)["ok"]


def test_the_whole_life_goes_through_control(session: Session) -> None:
    send(session, "create", {"request_id": "1", "draft": True})
    statuses = []
    for n, command in enumerate(("confirm", "activate", "suspend", "resume", "terminate")):
        body = {"request_id": f"life-{n}", **(ALL if command == "activate" else {})}
        statuses.append(send(session, command, body)["result"]["status"])
    assert statuses == ["pending", "active", "suspended", "active", "terminated"]
    refused = send(session, "resume", {"request_id": "late"})
    assert refused["error"]["code"] == "transition"


def test_a_refused_transition_says_what_is_allowed(session: Session) -> None:
    send(session, "create", {"request_id": "1"})
    reply = send(session, "suspend", {"request_id": "2"})
    assert reply["error"]["allowed"] == ["activate", "terminate"]


@pytest.mark.parametrize(
    "body, code",
    [
        (b"", "malformed"),
        (b"\xff", "malformed"),
        (b"[]", "malformed"),
        (b'{"request_id": "1", "request_id": "1"}', "malformed"),
        (b'{"request_id": "1", "attributes": {"a": NaN}}', "malformed"),
        (b'{"request_id": "1", "attributes": {"a": 1e999}}', "malformed"),
        (b'{"request_id": "1", "attributes": {"a": [[1]]}}', "invalid"),
        (b'{"request_id": "1", "kind": "\\ud800"}', "malformed"),
        (b"[" * 60_000, "malformed"),
        (b" " * 70_000, "too_large"),
        (b"{}", "request_id"),
        (b'{"request_id": 7}', "request_id"),
        (b'{"request_id": "1", "colour": "red"}', "invalid"),
        (b'{"request_id": "1", "starts_on": "tomorrow"}', "invalid"),
        (b'{"request_id": "1", "term_months": 1.5}', "invalid"),
        (b'{"request_id": "1", "customer": "NOBODY"}', "not_found"),
        (b'{"request_id": "1", "kind": "a\\u0000"}', "invalid"),
    ],
)
def test_a_bad_request_is_answered_and_changes_nothing(session: Session, body: bytes, code: str) -> None:
    reply = send(session, "create", body)
    assert (reply["ok"], reply["error"]["code"]) == (False, code)
    assert registry.list_objects(session) == []


def test_a_retained_or_unknown_command_is_refused(session: Session) -> None:
    assert send(session, "create", {"request_id": "1"}, retained=True)["error"]["code"] == "retained"
    unknown = send(session, "explode", {"request_id": "1"})
    assert "terminate" in unknown["error"]["allowed"]
    assert rows(session, ControlRequest) == 0


def test_the_answer_goes_to_the_response_topic_with_its_correlation_data(session: Session) -> None:
    send(session, "create", {"request_id": "1"}, response_topic="office/answers", correlation_data=b"\x01")
    row = session.exec(select(Outbox).where(Outbox.topic == "office/answers")).one()
    assert row.correlation_data == b"\x01"


@pytest.mark.parametrize("topic", ["devices/A/commands", "control/objects/A/terminate", "$SYS/x", "a/#", "a/+"])
def test_the_gateway_does_not_speak_where_devices_or_commands_are_heard(session: Session, topic: str) -> None:
    send(session, "create", {"request_id": "1"}, response_topic=topic)
    assert session.exec(select(Outbox).where(Outbox.topic == topic)).all() == []
