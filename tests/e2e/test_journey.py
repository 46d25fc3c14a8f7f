"""From a published message to a grouped invoice, on every supported pair of broker and database."""

import csv
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import pytest
from paho.mqtt import subscribe
from paho.mqtt.client import MQTTv311

from billing import catalogue, registry
from billing import close as closing
from billing.core.errors import BillingError
from config.clock import VirtualClock
from config.settings import Settings
from gateway.app import Gateway
from gateway.embedded_broker import EmbeddedBroker
from gateway.extraction import export_invoice
from gateway.mqtt import address_from
from gateway.simulator import Publication, publish
from storage import invoices, items, overview
from storage import registry as stored
from storage.database import Database
from tests import brokers
from tests.brokers import eventually
from tests.conftest import missing

FLEET = (brokers.ROOT / "docs" / "fleet.yaml").read_text()
REFERENCE = "IOT_NS542"
OWNERS = {"customer": "FLEET", "contract": "IOT Fleet Contract", "subscription": "Premium Fleet Subscription"}


@dataclass
class Stack:
    """A gateway at work, and who may publish what."""

    database: Database
    clock: VirtualClock
    device_url: str
    office_url: str
    bridge_url: str
    """Of a principal that may speak for every object."""

    def measure(self, at: str, value: int, reference: str = REFERENCE) -> None:
        body = {"ts": at, "metrics": {"usage": value}}
        publish(address_from(self.device_url), [Publication.of(f"devices/{reference}/telemetry", body)])

    def command(self, command: str, **body: Any) -> dict[str, Any]:
        """Send a command to the first object and wait for what was answered."""
        reply_topic = f"control/objects/{REFERENCE}/{command}/reply"
        request = Publication.of(f"control/objects/{REFERENCE}/{command}", body)
        office = address_from(self.office_url)
        received: list[dict[str, Any]] = []

        def on_message(client: Any, _userdata: Any, message: Any) -> None:
            received.append(json.loads(message.payload))
            client.disconnect()

        def on_subscribe() -> None:
            publish(office, [request])

        _listen(office, reply_topic, on_message, on_subscribe)
        return received[0]

    def close(self, until: date) -> list[invoices.InvoiceDocument]:
        report = closing.close(self.database, until, self.clock.now())
        assert report.failures == ()
        return list(report.invoices)

    def records(self) -> int:
        with self.database.snapshot() as session:
            return overview.usage_record_count(session)

    def schedules(self) -> list[tuple[date, str, str]]:
        with self.database.snapshot() as session:
            (found,) = stored.find(session, [REFERENCE]).values()
            (item,) = items.of_objects(session, [found.id])
            return [(it.starts_on, it.status, str(it.amount)) for it in items.schedules(session, item.id)]


def _listen(address: Any, topic: str, on_message: Any, on_subscribe: Any) -> None:
    """Listen on `topic` until `on_message` disconnects; `on_subscribe` runs once it is heard."""
    from paho.mqtt.client import Client  # noqa: PLC0415 - beside its only use
    from paho.mqtt.enums import CallbackAPIVersion  # noqa: PLC0415 - beside its only use

    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv311)
    if address.user:
        client.username_pw_set(address.user, address.password)
    heard: list[Any] = []
    done: list[Any] = []
    client.on_connect = lambda c, *_: c.subscribe(topic, 1)
    client.on_subscribe = lambda *_: heard.append(True)
    client.on_disconnect = lambda *_: done.append(True)
    client.on_message = on_message
    client.connect(address.host, address.port)
    client.loop_start()
    eventually(lambda: heard, f"the subscription to {topic}")
    on_subscribe()
    eventually(lambda: done, f"an answer on {topic}")
    client.loop_stop()


@contextmanager
def _broker(kind: str, folder: Path) -> Iterator[tuple[str, str, str, str, Literal["5", "3.1.1"]]]:
    """URLs for the device, the back office, a bridge and the gateway, and the protocol version to speak."""
    if kind == "amqtt":
        with EmbeddedBroker() as embedded:
            yield embedded.url, embedded.url, embedded.url, embedded.url, "3.1.1"
        return
    if brokers.binaries() is None:
        missing("Mosquitto", brokers.FIX)
    folder.mkdir()
    with brokers.mosquitto(folder, users=(REFERENCE,), bridge="bridge") as running:
        yield running.url(REFERENCE), running.url("backoffice"), running.url("bridge"), running.url(), "5"


@pytest.fixture(params=["mosquitto-sqlite", "mosquitto-postgresql", "amqtt-sqlite"])
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stack]:
    broker_kind, database_kind = request.param.split("-")
    url: str = request.getfixturevalue("sqlite_url" if database_kind == "sqlite" else "postgres_url")
    clock = VirtualClock(datetime(2022, 3, 31, 12, tzinfo=UTC))
    database = Database(url)
    database.migrate()
    with database.transaction() as session:
        catalogue.apply(session, catalogue.load(FLEET, "fleet.yaml"), clock.now())
    with ExitStack() as opened:
        opened.callback(database.dispose)
        device, office, bridge, gateway, version = opened.enter_context(_broker(broker_kind, tmp_path / "broker"))
        settings = Settings(database_url=url, broker_url=gateway, mqtt_version=version)
        opened.enter_context(Gateway(database, clock, settings))
        yield Stack(database=database, clock=clock, device_url=device, office_url=office, bridge_url=bridge)


def test_a_message_becomes_a_line_on_an_invoice(stack: Stack) -> None:
    created = stack.command("create", request_id="1", kind="tracker", **OWNERS)
    assert created["ok"], created
    assert created["result"]["status"] == "pending"
    activated = stack.command("activate", request_id="2", starts_on="2022-04-01")
    assert activated["ok"], activated
    assert activated["result"]["contract_item"]["name"] == REFERENCE
    assert activated["result"]["contract_item"]["last_day"] == "2023-03-31"
    assert stack.command("activate", request_id="2", starts_on="2022-04-01") == activated
    conflict = stack.command("activate", request_id="2", starts_on="2022-05-01")
    assert (conflict["ok"], conflict["error"]["code"]) == (False, "conflict")
    assert [row[1:] for row in stack.schedules()] == [("planned", "0")] * 12
    _assert_state_is_retained(stack)

    stack.clock.set(datetime(2022, 5, 1, 6, tzinfo=UTC))
    stack.measure("2022-04-14T10:00:00+02:00", 12)
    stack.measure("2022-04-14T10:00:00+02:00", 12)
    eventually(lambda: stack.records() == 1, "the usage is stored")
    (april,) = stack.close(date(2022, 4, 30))
    assert april.number == "INV/2022/04/0001"
    (line,) = april.lines
    assert (line.quantity, line.unit_price, line.net_minor) == (Fraction(12), Fraction("2.50"), 3000)
    assert (april.net_minor, april.vat_minor, april.gross_minor) == (3000, 600, 3600)
    assert [status for _, status, _ in stack.schedules()] == ["invoiced"] + ["planned"] * 11

    stack.measure("2022-04-14T10:00:00+02:00", 12)
    assert stack.close(date(2022, 4, 30)) == []

    stack.clock.set(datetime(2022, 6, 1, 6, tzinfo=UTC))
    stack.measure("2022-04-20T10:00:00+02:00", 3)
    eventually(lambda: stack.records() == 2, "the late usage is stored")
    (may,) = stack.close(date(2022, 5, 31))
    assert may.number == "INV/2022/05/0001"
    (late,) = may.lines
    assert (late.net_minor, late.period_starts_on, late.period_ends_on) == (750, date(2022, 4, 1), date(2022, 5, 1))


def _assert_state_is_retained(stack: Stack) -> None:
    address = address_from(stack.device_url)
    auth: Any = {"username": address.user, "password": address.password} if address.user else None

    def retained() -> Any:
        topic = f"devices/{REFERENCE}/state"
        return subscribe.simple(topic, hostname=address.host, port=address.port, auth=auth, protocol=MQTTv311)  # type: ignore[no-untyped-call]

    message = retained()
    while json.loads(message.payload)["status"] != "active":
        message = retained()
    assert message.retain


def test_a_fleet_of_ten_thousand_is_one_line_whose_detail_adds_up(stack: Stack, tmp_path: Path) -> None:
    fleet = [
        registry.NewObject(reference=f"IOT_{index:05d}", activate=True, starts_on=date(2022, 4, 1), **OWNERS)  # type: ignore[arg-type]
        for index in range(10_000)
    ]
    with stack.database.transaction() as session:
        outcomes = registry.create_objects(session, fleet, status="pending", now=stack.clock.now(), origin="import")
    assert not [outcome for outcome in outcomes if isinstance(outcome, BillingError)]
    stack.clock.set(datetime(2022, 5, 1, 6, tzinfo=UTC))
    body = {"ts": "2022-04-14T10:00:00Z", "metrics": {"usage": 0.3}}
    messages = [Publication.of(f"devices/IOT_{index:05d}/telemetry", body) for index in range(10_000)]
    publish(address_from(stack.bridge_url), messages)
    eventually(lambda: stack.records() == len(messages), "the fleet's usage is stored", seconds=90)
    (invoice,) = stack.close(date(2022, 4, 30))
    (line,) = invoice.lines
    assert (line.object_count, line.quantity, line.net_minor) == (10_000, Fraction(3_000), 750_000)
    target = tmp_path / "detail.csv"
    with stack.database.snapshot() as session:
        assert export_invoice(session, invoice.number, target, "csv") == 10_000
    with target.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len({row["object"] for row in rows}) == 10_000
    assert sum(Decimal(row["net_amount"]) for row in rows) == Decimal("7500.00")
