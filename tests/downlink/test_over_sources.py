"""Commands as the formats of devices have them: where they go, what they say, and what answers them."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import col, delete, select

from billing import catalogue, downlink
from billing.catalogue.problems import CatalogueInvalid
from billing.control import ControlMessage, execute
from billing.core.errors import Invalid
from billing.core.templates import names_in, rendered
from billing.timeline import Said
from config.settings import Settings
from gateway.ingest import ingest_batch
from gateway.message import Message, Rules
from gateway.sources.access import lines
from gateway.sources.declaration import source_rules
from gateway.sources.stored import load
from storage import outbox, quarantine, registry, sources
from storage.database import Database
from storage.tables import ConnectedObject, DeviceCommand, ObjectEvent, Outbox

NOON = datetime(2022, 4, 14, 12, tzinfo=UTC)
METRICS = "metrics: [{name: energy, unit: kWh, kind: cumulative, decimals: 3}]\n"
EUI = "0102030405060708"
ASKED = str(uuid.uuid5(uuid.NAMESPACE_OID, "X/r1"))


def declare(database: Database, text: str) -> None:
    file = catalogue.load(METRICS + text, "file.yaml", sources=source_rules(Settings()))
    with database.transaction() as session:
        catalogue.apply(session, file, NOON)


def register(database: Database, *references: str, kind: str = "") -> None:
    with database.transaction() as session:
        for reference in references:
            session.add(ConnectedObject(reference=reference, kind=kind, status="active", created_at=NOON))


def hear(database: Database, topic: str, body: Any, *, minutes: int = 0) -> dict[str, int]:
    """Take one message in; what was refused."""
    with database.snapshot() as session:
        rules = Rules.of(Settings(), load(session))
    at = NOON + timedelta(minutes=minutes)
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return dict(ingest_batch(database, [Message(topic=topic, payload=payload, received_at=at)], rules, now=at).refused)


def send(database: Database, reference: str, name: str, key: str = "r1", **body: Any) -> tuple[str, Any]:
    """Command an object; where it goes and what it says."""
    with database.transaction() as session:
        new = downlink.NewCommand(name=name, body=body)
        downlink.send(session, reference, new, Said(now=NOON, origin="cli", key=key))
        row = session.exec(select(Outbox).order_by(col(Outbox.id).desc())).first()
        assert row is not None
        content = outbox.content(row)
    return row.topic, content.decode() if isinstance(content, bytes) else json.loads(content)


def statuses(database: Database) -> list[str]:
    with database.snapshot() as session:
        return list(session.exec(select(DeviceCommand.status).order_by(col(DeviceCommand.id))))


UP = {"deduplicationId": "d", "time": "2022-04-14T12:00:00Z", "object": {"energy": 1}}
TTS = {"received_at": "2022-04-14T12:00:00Z", "uplink_message": {"decoded_payload": {"energy": 1}}}
SHELLY = {"src": "X", "params": {"ts": 1649930400, "switch:0": {"aenergy": {"total": 1}}}}
IDS = ["as:downlink:1", ASKED]
CASES: dict[str, tuple[str, Any, str, dict[str, Any], str, Any, tuple[str, Any], tuple[str, Any]]] = {
    "chirpstack": (
        *("application/7/device/X/event/up", UP, "open", {"seconds": 5}),
        "application/7/device/X/command/down",
        {
            "id": ASKED,
            "devEui": "X",
            "confirmed": True,
            "fPort": 10,
            "object": {"command": "open", "body": {"seconds": 5}},
        },
        ("application/7/device/X/event/ack", {"queueItemId": ASKED, "acknowledged": True}),
        ("application/7/device/X/event/ack", {"queueItemId": ASKED}),
    ),
    "the-things-stack": (
        *("v3/app@ttn/devices/X/up", TTS, "open", {}),
        "v3/app@ttn/devices/X/down/push",
        {
            "downlinks": [
                {
                    "f_port": 10,
                    "decoded_payload": {"command": "open", "body": {}},
                    "confirmed": True,
                    "correlation_ids": [ASKED],
                }
            ]
        },
        ("v3/app@ttn/devices/X/down/ack", {"downlink_ack": {"correlation_ids": IDS}}),
        (
            "v3/app@ttn/devices/X/down/failed",
            {"downlink_failed": {"downlink": {"correlation_ids": IDS}, "error": {"message_format": "too long"}}},
        ),
    ),
    "shelly-gen2": (
        *("X/events/rpc", SHELLY, "suspend", {}),
        "X/rpc",
        {"id": "r1", "src": "X/metergate", "method": "Switch.Set", "params": {"id": 0, "on": False}},
        ("X/metergate/rpc", {"id": "r1", "src": "X", "result": {"was_on": True}}),
        ("X/metergate/rpc", {"id": "r1", "src": "X", "error": {"code": -103, "message": "no switch"}}),
    ),
    "thingsboard-device": (
        *("X/v1/devices/me/telemetry", {"energy": 1}, "open", {"door": 2}),
        f"X/v1/devices/me/rpc/request/{ASKED}",
        {"method": "open", "params": {"door": 2}},
        (f"X/v1/devices/me/rpc/response/{ASKED}", {"done": True}),
        ("", None),
    ),
    "thingsboard-gateway": (
        *("v1/gateway/telemetry", {"X": [{"energy": 1}]}, "open", {}),
        "v1/gateway/rpc",
        {"device": "X", "data": {"id": ASKED, "method": "open", "params": {}}},
        ("v1/gateway/rpc", {"device": "X", "id": ASKED, "data": {"ok": True}}),
        ("", None),
    ),
    "native": (
        *("objects/X/telemetry", {"metrics": {"energy": 1}}, "open", {}),
        "objects/X/commands",
        {"request_id": "r1", "command": "open", "expires_at": "2022-04-15T12:00:00+00:00", "body": {}},
        ("objects/X/commands/ack", {"request_id": "r1", "status": "acknowledged"}),
        ("objects/X/commands/ack", {"request_id": "r1", "status": "failed", "reason": "no"}),
    ),
    "tasmota": (
        *("tele/X/SENSOR", {"Time": "2022-04-14T12:00:00", "ENERGY": {"Total": 1}}, "activate", {}),
        "cmnd/X/POWER",
        "ON",
        ("stat/X/RESULT", {"POWER": "ON"}),
        ("", None),
    ),
    "shelly-gen1": (
        *("shellies/X/relay/0/energy", b"60000", "suspend", {}),
        "shellies/X/relay/0/command",
        "off",
        ("shellies/X/relay/0", b"off"),
        ("", None),
    ),
}


@pytest.mark.parametrize("preset", CASES)
def test_a_command_goes_down_and_is_answered_as_the_format_has_it(sqlite_database: Database, preset: str) -> None:
    heard, body, name, said, topic, payload, yes, no = CASES[preset]
    declare(sqlite_database, f"sources: [{{name: it, preset: {preset}}}]")
    register(sqlite_database, "X")
    assert hear(sqlite_database, heard, body) == {}
    assert send(sqlite_database, "X", name, **said) == (topic, payload)
    # What we said ourselves, where it comes back to us, is no answer.
    mine = payload if isinstance(payload, dict) else str(payload).encode()
    if preset == "thingsboard-gateway":
        assert hear(sqlite_database, topic, mine) == {}
    assert statuses(sqlite_database) == ["requested"]
    for minutes in (1, 2):
        assert hear(sqlite_database, *yes, minutes=minutes) == {}
    assert statuses(sqlite_database) == ["acknowledged"]
    if no[0]:
        with sqlite_database.transaction() as session:
            for table in (DeviceCommand, ObjectEvent):
                session.exec(delete(table))
        send(sqlite_database, "X", name, **said)
        assert hear(sqlite_database, *no) == {}
        assert statuses(sqlite_database) == ["failed"]


def test_a_format_without_ids_answers_the_oldest_command_that_waits_and_may_speak_unasked(
    sqlite_database: Database,
) -> None:
    declare(sqlite_database, "sources: [{name: it, preset: tasmota}]")
    register(sqlite_database, "X")
    hear(sqlite_database, "tele/X/SENSOR", {"Time": "2022-04-14T12:00:00", "ENERGY": {"Total": 1}})
    assert hear(sqlite_database, "stat/X/RESULT", {"POWER": "ON"}) == {}
    assert hear(sqlite_database, "stat/STRANGER/RESULT", {"POWER": "ON"}) == {}
    for n, name in enumerate(("activate", "suspend", "resume")):
        send(sqlite_database, "X", name, f"r{n}")
    hear(sqlite_database, "stat/X/RESULT", {"POWER": "OFF"})
    assert statuses(sqlite_database) == ["requested", "acknowledged", "requested"]
    hear(sqlite_database, "stat/X/RESULT", {"POWER": "ON"})
    assert statuses(sqlite_database) == ["acknowledged", "acknowledged", "requested"]


def test_a_command_that_nothing_answers_is_settled_when_it_was_sent(sqlite_database: Database) -> None:
    declare(sqlite_database, "sources: [{name: it, preset: zigbee2mqtt}]")
    register(sqlite_database, "hall:lamp")
    assert hear(sqlite_database, "zigbee2mqtt/hall/lamp", {"energy": 1}) == {}
    assert send(sqlite_database, "hall:lamp", "activate") == ("zigbee2mqtt/hall/lamp/set", {"state": "ON"})
    with sqlite_database.transaction() as session:
        downlink.note_sent(session, [1], NOON)
    with sqlite_database.snapshot() as session:
        command = session.exec(select(DeviceCommand)).one()
    assert (command.status, command.waits_until) == ("sent", None)


def test_an_answer_for_another_object_is_refused(sqlite_database: Database) -> None:
    declare(sqlite_database, "sources: [{name: it, preset: chirpstack}]")
    register(sqlite_database, "X", "Y")
    hear(sqlite_database, "application/7/device/X/event/up", UP)
    send(sqlite_database, "X", "open")
    answer = {"queueItemId": ASKED, "acknowledged": True}
    assert hear(sqlite_database, "application/7/device/Y/event/ack", answer) == {"foreign_answer": 1}
    assert statuses(sqlite_database) == ["requested"]
    with sqlite_database.snapshot() as session:
        (row,) = quarantine.listed(session)
    assert (row.object_reference, row.source) == ("Y", "it")


def test_before_an_object_was_heard_its_kind_says_its_source(sqlite_database: Database) -> None:
    declare(
        sqlite_database,
        "sources: [{name: it, preset: tasmota, kind: plug}, {name: lora, preset: chirpstack, kind: node}]",
    )
    register(sqlite_database, "P", kind="plug")
    register(sqlite_database, "N", kind="node")
    register(sqlite_database, "O")
    assert send(sqlite_database, "P", "activate") == ("cmnd/P/POWER", "ON")
    assert send(sqlite_database, "O", "activate")[0] == "devices/O/commands"
    with pytest.raises(Invalid, match=r"\{app\} is not known"):
        send(sqlite_database, "N", "open")


def test_what_a_plan_tells_and_no_format_carries_has_failed_on_the_timeline(sqlite_database: Database) -> None:
    own = "commands: {names: [open], topic: 'down/{object}', body: {do: '{command}'}}"
    declare(sqlite_database, f"sources: [{{name: it, preset: plain, kind: meter, {own}}}]")
    register(sqlite_database, "X", kind="meter")
    assert send(sqlite_database, "X", "open") == ("down/X", {"do": "open"})
    asking = json.dumps({"request_id": "r2", "name": "halt"}).encode()
    with sqlite_database.transaction() as session:
        execute(session, ControlMessage(object_reference="X", command="command", body=asking), NOON)
        reply = session.exec(select(Outbox.payload).order_by(col(Outbox.id).desc())).first()
    assert "carries no command 'halt'" in str(reply)
    assert statuses(sqlite_database) == ["requested"]
    with sqlite_database.transaction() as session:
        rows = list(registry.find(session, ["X"]).values())
        downlink.send_many(session, rows, downlink.NewCommand(name="halt"), Said(now=NOON, origin="cli"))
    assert statuses(sqlite_database) == ["requested", "failed"]
    with sqlite_database.snapshot() as session:
        kinds = list(session.exec(select(ObjectEvent.kind).order_by(col(ObjectEvent.id))))
    assert kinds == ["command_requested", "command_requested", "command_failed"]


@pytest.mark.parametrize(
    "said,sentence",
    [
        ("{topic: 'down/{nobody}'}", "{nobody} is no wildcard"),
        ("{topic: 'down/+'}", "a command goes to one topic"),
        ("{topic: 'down/x', body: {a: '{1}'}}", "braces that hold no name"),
        ("{topic: 'down/x', acknowledge: {topic: 'up/{object}', values: {a: failed}}}", "need `path`"),
        ("{topic: 'down/x', acknowledge: {topic: 'up/+'}}", "{object} is no wildcard"),
        ("{topic: 'down/x', acknowledge: {topic: 'devices/{object}/telemetry'}}", "which the gateway reads itself"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_the_file(said: str, sentence: str) -> None:
    text = f"{METRICS}sources: [{{name: it, preset: plain, commands: {said}}}]"
    with pytest.raises(CatalogueInvalid) as refused:
        catalogue.load(text, "file.yaml", sources=source_rules(Settings()))
    assert sentence in str([str(problem) for problem in refused.value.errors])


def test_the_lines_of_access_control_name_both_ways(sqlite_database: Database) -> None:
    declare(sqlite_database, "sources: [{name: it, preset: tasmota}]")
    with sqlite_database.snapshot() as session:
        definitions = {row.name: row.definition for row in sources.in_force(session)}
    found = {(line.user, line.text) for line in lines(definitions, gateway="gateway", principals=["hub"], own=True)}
    assert {
        ("gateway", "topic write cmnd/+/+"),
        ("gateway", "topic read stat/+/RESULT"),
        ("hub", "topic read cmnd/+/+"),
        ("hub", "topic write stat/+/RESULT"),
        (None, "pattern read cmnd/%u/POWER"),
        (None, "pattern write stat/%u/RESULT"),
    } <= found


def test_a_template_is_a_closed_language() -> None:
    values = {"object": "A", "body": {"n": 5, "deep": {"x": [1]}, "on": True}}
    template = {"a": "{body.n}", "b": ["{object}/{body.n}/{body.on}", 7, None], "c": "{body.deep.x}"}
    assert list(names_in(template)) == ["body.n", "object", "body.n", "body.on", "body.deep.x"]
    assert rendered(template, values) == {"a": 5, "b": ["A/5/true", 7, None], "c": [1]}
    for wrong in ("{nothing}", "{body.m}", "{object.x}", "x{body.deep}"):
        with pytest.raises(Invalid):
            rendered(wrong, values)
    for wrong in ("{object", "{Object}", "{object!r}", "{object.__class__}x{", "{0}"):
        with pytest.raises(Invalid):
            list(names_in(wrong))
    assert rendered("{body.__class__}", {"body": {"__class__": "a key like any other"}}) == "a key like any other"
