"""A command from the back office to a device and its answer back, through a real Mosquitto."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import select

from config.clock import SystemClock
from config.settings import Settings
from gateway.app import Gateway
from storage.database import Database
from storage.tables import ConnectedObject, DeviceCommand, ObjectEvent
from tests import brokers
from tests.brokers import eventually
from tests.conftest import missing

REF = "IOT_NS542"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[brokers.Broker]:
    if brokers.binaries() is None:
        missing("Mosquitto", brokers.FIX)
    with brokers.mosquitto(tmp_path, users=(REF,)) as it:
        yield it


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_command_goes_down_and_its_answer_comes_back(
    sqlite_database: Database, broker: brokers.Broker, version: str
) -> None:
    with sqlite_database.transaction() as session:
        session.add(ConnectedObject(reference=REF, status="active", created_at=datetime(2022, 4, 1, tzinfo=UTC)))

    def statuses() -> dict[str, str]:
        with sqlite_database.snapshot() as session:
            return {it.request_id: it.status for it in session.exec(select(DeviceCommand))}

    settings = Settings(broker_url=broker.url(), mqtt_version=version)
    with (
        Gateway(sqlite_database, SystemClock(), settings),
        brokers.Peer(broker, REF) as device,
        brokers.Peer(broker, "backoffice") as office,
    ):
        device.subscribe(f"devices/{REF}/commands")
        office.subscribe(f"control/objects/{REF}/command/reply")
        asking = {"request_id": "r1", "name": "reboot", "body": {"delay": 5}, "expires": "1h"}
        office.publish(f"control/objects/{REF}/command", json.dumps(asking))
        eventually(lambda: device.received != [], "the device has its command")
        eventually(lambda: statuses() == {"r1": "sent"}, "it is known that it left")
        told = json.loads(device.received[0][1])
        assert (told["request_id"], told["command"], told["body"]) == ("r1", "reboot", {"delay": 5})
        eventually(lambda: office.received != [], "the back office has its answer")
        assert json.loads(office.received[0][1])["result"]["status"] == "requested"
        device.publish(f"devices/{REF}/commands/ack", json.dumps({"request_id": "r1", "status": "acknowledged"}))
        eventually(lambda: statuses() == {"r1": "acknowledged"}, "the answer is stored")
        asking = {"request_id": "r2", "name": "reboot", "expires": "1s"}
        office.publish(f"control/objects/{REF}/command", json.dumps(asking))
        eventually(lambda: statuses().get("r2") == "expired", "what is not answered expires")
    with sqlite_database.snapshot() as session:
        kinds = session.exec(select(ObjectEvent.kind))
        assert {"command_requested", "command_sent", "command_acknowledged", "command_expired"} == set(kinds)
