"""A message of every preset, published to a real Mosquitto, becomes stored usage or an event."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from config.clock import VirtualClock
from config.settings import Settings
from gateway.app import Gateway
from gateway.sources.access import lines
from gateway.sources.shipped import preset_names
from storage import quarantine, sources
from storage.database import Database
from storage.tables import ConnectedObject, Metric, ObjectEvent, UsageRecord
from tests import brokers
from tests.brokers import eventually
from tests.conftest import missing
from tests.sources.test_from_topic_to_usage import NOON, declare, register
from tests.sources.test_presets import METRICS, MS, TELEGRAM
from tests.sources.test_sparkplug import metric, payload

AT = "2022-04-14T10:00:00Z"
SAMPLES: dict[str, tuple[str, Any, str, str, int]] = {
    "native": ("objects/N/telemetry", {"ts": AT, "metrics": {"energy": 1}}, "N", "energy", 1_000_000),
    "chirpstack": (
        "application/7/device/0102030405060708/event/up",
        {"deduplicationId": "a", "time": AT, "object": {"energy": 2}},
        *("0102030405060708", "energy", 2_000_000),
    ),
    "the-things-stack": (
        "v3/app@tenant/devices/dev-1/up",
        {"received_at": AT, "uplink_message": {"f_cnt": 1, "decoded_payload": {"energy": 3}}},
        *("dev-1", "energy", 3_000_000),
    ),
    "thingsboard-device": (
        "BOARD/v1/devices/me/telemetry",
        {"ts": MS, "values": {"energy": 4}},
        "BOARD",
        "energy",
        4_000_000,
    ),
    "thingsboard-gateway": ("v1/gateway/telemetry", {"Room A": [{"energy": 5}]}, "Room A", "energy", 5_000_000),
    "tasmota": (
        "tele/plug/SENSOR",
        {"Time": "2022-04-14T10:00:00", "ENERGY": {"Total": 6}},
        "plug",
        "energy",
        6_000_000,
    ),
    "zigbee2mqtt": ("zigbee2mqtt/hall/lamp", {"energy": 7}, "hall:lamp", "energy", 7_000_000),
    "shelly-gen2": (
        "shellyplus-1/events/rpc",
        {"src": "shellyplus-1", "params": {"ts": MS // 1000, "switch:0": {"aenergy": {"total": 8000}}}},
        *("shellyplus-1", "energy", 8_000_000),
    ),
    "shelly-gen1": ("shellies/shelly-1/relay/0/energy", b"540000", "shelly-1", "energy", 9_000_000),
    "sparkplug": (
        "spBv1.0/G/DBIRTH/E/D",
        payload(metric(name="energy", datatype=10, double=18.5)),
        *("G:E:D", "energy", 18_500_000),
    ),
    "plain": ("values/P/energy", b"10", "P", "energy", 10_000_000),
    "senml": (
        "senml/x",
        [{"bn": "urn:dev:1:", "bt": MS // 1000, "n": "temp", "v": 11}],
        "urn:dev:1",
        "temp",
        11_000_000,
    ),
    "wmbusmeters": ("wmbusmeters", {"id": "76348799", "timestamp": AT, "total_m3": 12}, "76348799", "water", 12_000),
    "dsmr": ("dsmr/json", {"timestamp": AT, "electricity_delivered_1": "13"}, "HOUSE", "electricity_1", 13_000),
    "p1": ("p1/HOUSE_7", TELEGRAM, "HOUSE_7", "gas", 456_789),
    "everest": (
        "everest_api/evse/var/powermeter",
        {"timestamp": AT, "energy_Wh_import": {"total": 15000}},
        "evse",
        "energy",
        15_000_000,
    ),
    "homie": ("homie/5/meter/tariff/total", b"16", "meter", "tariff.total", 16_000_000),
    "cloudevents": (
        "cloudevents/x",
        {"id": "1", "source": "s", "subject": "C", "time": AT, "data": {"energy": 17}},
        *("C", "energy", 17_000_000),
    ),
}
PRESENCE = {
    "aws-iot-presence": ("aws/connected/AWS", {"clientId": "AWS", "timestamp": MS, "versionNumber": 1}, "AWS"),
    "emqx-presence": ("emqx/node/clients/EMQX/connected", {"clientid": "EMQX", "ts": MS}, "EMQX"),
}
MORE = {"dsmr": ", reference: HOUSE", "aws-iot-presence": ", prefix: aws", "emqx-presence": ", prefix: emqx"}
"""Mosquitto lets nobody publish under `$SYS`: elsewhere these come under their own prefix."""


@pytest.fixture
def broker(tmp_path: Path, sqlite_database: Database) -> Iterator[brokers.Broker]:
    if brokers.binaries() is None:
        missing("Mosquitto", brokers.FIX)
    with brokers.mosquitto(tmp_path, users=("bridge",)) as it:
        with sqlite_database.snapshot() as session:
            definitions = {row.name: row.definition for row in sources.in_force(session)}
        acl = it.folder / "mosquitto.acl"
        said = acl.read_text()
        for line in lines(definitions, gateway="gateway", principals=["bridge"], own=False):
            said += f"\nuser {line.user}\n{line.text}\n"
        acl.write_text(said)
        it.stop()
        it.start()
        yield it


@pytest.fixture
def sqlite_database(sqlite_database: Database) -> Database:
    assert sorted([*SAMPLES, *PRESENCE]) == sorted(preset_names())
    entries = [f"{{name: {name}, preset: {name}{MORE.get(name, '')}}}" for name in preset_names()]
    declare(sqlite_database, f"{METRICS}sources: [{', '.join(entries)}]")
    register(sqlite_database, *(sample[2] for sample in SAMPLES.values()), *(it[2] for it in PRESENCE.values()))
    return sqlite_database


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_message_of_every_preset_is_stored(sqlite_database: Database, broker: brokers.Broker, version: str) -> None:
    settings = Settings(broker_url=broker.url(), mqtt_version=version)

    def stored() -> set[tuple[str, str, int]]:
        with sqlite_database.snapshot() as session:
            rows = session.exec(
                select(ConnectedObject.reference, Metric.name, UsageRecord.quantity)
                .join(UsageRecord, UsageRecord.object_id == ConnectedObject.id)  # type: ignore[arg-type] # a column
                .join(Metric, UsageRecord.metric_id == Metric.id)  # type: ignore[arg-type] # a column
            )
            return set(rows)

    def online() -> set[str]:
        with sqlite_database.snapshot() as session:
            query = select(ConnectedObject.reference).join(ObjectEvent).where(ObjectEvent.kind == "online")
            return set(session.exec(query))

    with Gateway(sqlite_database, VirtualClock(NOON), settings), brokers.Peer(broker, "bridge") as bridge:
        messages = [(it[0], it[1]) for it in SAMPLES.values()] + [(it[0], it[1]) for it in PRESENCE.values()]
        wanted = {(reference, metric, quantity) for _, _, reference, metric, quantity in SAMPLES.values()}

        def all_stored() -> bool:
            """Publish until all is stored: a new subscription is there a moment later."""
            for topic, body in messages:
                assert bridge.publish(topic, body if isinstance(body, bytes) else json.dumps(body))
            return wanted <= stored()

        eventually(all_stored, "usage of every preset is stored")
        eventually(lambda: online() == {"AWS", "EMQX", "G:E:D"}, "presence is on the timelines")
    with sqlite_database.snapshot() as session:
        assert [row.detail for row in quarantine.listed(session)] == []
