"""Declared, subscribed, read, stored; what does not fit waits, and comes in once it was mended."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import select

from billing import catalogue
from config.clock import VirtualClock
from config.settings import Settings
from gateway.app import Gateway
from gateway.draining import drain
from gateway.ingest import ingest_batch, replay
from gateway.message import Message, Rules
from gateway.roles import PARTS, member_id
from gateway.sources.declaration import source_rules
from gateway.sources.stored import load
from storage import quarantine, usage
from storage.database import Database
from storage.tables import ConnectedObject, ObjectEvent, UsageRecord
from tests import brokers
from tests.brokers import eventually
from tests.conftest import missing

NOON = datetime(2022, 4, 14, 12, tzinfo=UTC)
EUI = "0102030405060708"
METRICS = "metrics: [{name: energy, unit: kWh, kind: cumulative, decimals: 3}]\n"
LORA = METRICS + "sources: [{name: lora, preset: chirpstack}]"
UP = f"application/7/device/{EUI}/event/up"


def uplink(key: str, value: object, eui: str = EUI) -> bytes:
    body = {
        "deduplicationId": key,
        "time": "2022-04-14T11:59:59.123456789+00:00",
        "deviceInfo": {"devEui": eui, "applicationId": "7"},
        "object": {"energy": value, "battery": 3.6},
    }
    return json.dumps(body).encode()


def declare(database: Database, text: str) -> list[catalogue.Change]:
    file = catalogue.load(text, "file.yaml", sources=source_rules(Settings()))
    with database.transaction() as session:
        return catalogue.apply(session, file, NOON)


def register(database: Database, *references: str) -> None:
    with database.transaction() as session:
        for reference in references:
            session.add(ConnectedObject(reference=reference, status="active", created_at=NOON))


def rules(database: Database) -> Rules:
    with database.snapshot() as session:
        return Rules.of(Settings(), load(session))


def take(database: Database, *messages: tuple[str, bytes]) -> dict[str, int]:
    batch = [Message(topic=topic, payload=payload, received_at=NOON) for topic, payload in messages]
    return dict(ingest_batch(database, batch, rules(database), now=NOON).refused)


def quantities(database: Database) -> list[int]:
    with database.snapshot() as session:
        assert usage.rollup_differences(session) == []
        return sorted(session.exec(select(UsageRecord.quantity)))


def again(database: Database) -> list[str | None]:
    """Replay all that waits: what each came to."""
    with database.transaction() as session:
        ids = [row.id for row in quarantine.listed(session)]
        return [replay(session, it, rules(database), now=NOON) for it in ids if it is not None]


def test_the_same_file_again_changes_nothing_and_a_change_is_shown(database: Database) -> None:
    assert [it.kind for it in declare(database, LORA)] == ["created", "created"]
    assert [it.kind for it in declare(database, LORA)] == ["unchanged", "unchanged"]
    moved = declare(database, LORA.replace("chirpstack}", "chirpstack, prefix: lora, unknown_objects: pending}"))
    places = ("commands[0].acknowledge[0].topic", "commands[0].topic", "messages[0].topic", "messages[1].topic")
    assert moved[-1].kind == "changed"
    assert moved[-1].detail == f"version 2: {', '.join(places)}, unknown_objects"


def test_a_metric_must_be_there_and_a_topic_is_one_sources(database: Database) -> None:
    other = "{name: other, topic: 'application/{app}/device/{object}/event/#', values: {}}"
    with pytest.raises(catalogue.CatalogueInvalid) as refused:
        declare(database, METRICS + f"sources: [{{name: lora, preset: chirpstack}}, {other}]")
    assert "take the same topics as source" in str(refused.value)
    with pytest.raises(catalogue.CatalogueInvalid) as refused:
        declare(database, "sources: [{name: a, topic: 'a/{object}', metrics: [{path: a, metric: nothing}]}]")
    assert "line 1: sources[0].metrics[0].metric: metric 'nothing' is declared nowhere" in str(refused.value)


def test_a_message_that_does_not_fit_waits_whole_and_comes_in_after_the_mapping_was_mended(database: Database) -> None:
    declare(database, METRICS + "sources: [{name: m, topic: 'm/{object}', metrics: [{path: total, metric: energy}]}]")
    register(database, "M1")
    assert take(database, ("m/M1", b'{"total": "12 kWh", "wh": 12500}')) == {"bad_number": 1}
    with database.snapshot() as session:
        (row,) = quarantine.listed(session)
        assert (row.source, row.object_reference, row.part) == ("m", "M1", None)
    assert "is not a number" in (again(database)[0] or "")
    mended = "metrics: [{path: wh, metric: energy, factor: '0.001'}]"
    declare(database, METRICS + f"sources: [{{name: m, topic: 'm/{{object}}', {mended}}}]")
    assert again(database) == [None]
    assert again(database) == []
    assert quantities(database) == [12500]


def test_of_a_message_for_several_objects_only_the_part_of_an_unknown_one_waits(database: Database) -> None:
    source = "{name: pack, topic: pack, object: id, metrics: [{path: total, metric: energy}]}"
    declare(database, METRICS + f"sources: [{source}]")
    register(database, "A", "B")
    body = [{"id": "A", "total": 1}, {"id": "LATER", "total": 2}, {"id": "B", "total": 3}]
    assert take(database, ("pack", json.dumps(body).encode())) == {"unknown_object": 1}
    assert quantities(database) == [1000, 3000]
    register(database, "LATER")
    assert again(database) == [None]
    assert quantities(database) == [1000, 2000, 3000]


def test_an_identifier_that_contradicts_the_topic_is_refused(database: Database) -> None:
    declare(database, LORA)
    register(database, EUI, "0000000000000000")
    assert take(database, (UP, uplink("a", 5, eui="0000000000000000"))) == {"contradiction": 1}
    assert take(database, ("elsewhere", b"1")) == {"unknown_topic": 1}
    assert quantities(database) == []


def test_a_repeat_is_the_same_uplink_and_another_value_under_its_key_is_a_conflict(database: Database) -> None:
    declare(database, LORA)
    register(database, EUI)
    assert take(database, (UP, uplink("a", 5)), (UP, uplink("a", 5)), (UP, uplink("b", 6))) == {}
    assert take(database, (UP, uplink("a", 7))) == {"conflict": 1}
    assert quantities(database) == [5000, 6000]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[brokers.Broker]:
    if brokers.binaries() is None:
        missing("Mosquitto", brokers.FIX)
    with brokers.mosquitto(tmp_path, users=("network",)) as it:
        acl = it.folder / "mosquitto.acl"
        more = "\nuser network\ntopic write application/#\ntopic write m/#\n"
        acl.write_text(acl.read_text() + more + "user gateway\ntopic read application/#\ntopic read m/#\n")
        it.stop()
        it.start()
        yield it


@pytest.mark.parametrize("receiver", ["native", "paho"])
def test_a_declared_source_is_received_and_a_changed_one_without_a_restart(
    sqlite_database: Database, broker: brokers.Broker, receiver: str
) -> None:
    database = sqlite_database
    declare(database, LORA)
    register(database, EUI, "M1")
    settings = Settings(broker_url=broker.url(), receiver=receiver)
    with Gateway(database, VirtualClock(NOON), settings), brokers.Peer(broker, "network") as network:

        def heard(topic: str, payload: bytes) -> None:
            """Publish until it is stored: a new subscription is there a moment later."""
            before = quantities(database)

            def stored() -> bool:
                network.publish(topic, payload)
                return quantities(database) != before

            eventually(stored, f"{topic} is stored")

        heard(UP, uplink("a", 5))
        network.publish(f"application/7/device/{EUI}/event/join", uplink("j", 0))
        more = "{name: m, topic: 'm/{object}', time: {path: t}, metrics: [{path: total, metric: energy}]}"
        declare(database, METRICS + f"sources: [{{name: lora, preset: chirpstack}}, {more}]")
        heard("m/M1", b'{"t": "2022-04-14T10:00:00Z", "total": 7}')
    assert quantities(database) == [5000, 7000]
    with database.snapshot() as session:
        assert [event.kind for event in session.exec(select(ObjectEvent))] == ["joined"]


def test_what_waited_in_a_session_is_read_by_whoever_empties_it(
    sqlite_database: Database, broker: brokers.Broker
) -> None:
    database, clock = sqlite_database, VirtualClock(NOON)
    declare(database, LORA)
    register(database, EUI)
    settings = Settings(broker_url=broker.url())
    with brokers.Peer(broker, "network") as network:

        def heard(key: str, value: int) -> None:
            def stored() -> bool:
                network.publish(UP, uplink(key, value))
                return value * 1000 in quantities(database)

            eventually(stored, f"{key} is stored")

        with Gateway(database, clock, settings):
            heard("a", 5)
        with Gateway(database, clock, settings, parts=PARTS["ingest"], member=2):
            heard("b", 6)
        network.publish(UP, uplink("c", 7))  # for the first session, and for the member's share
        with Gateway(database, clock, settings, parts=PARTS["control"]):
            eventually(lambda: 7000 in quantities(database), "the control part reads what its session collected")
        drain(settings, database, clock, member_id(settings, 2), quiet_seconds=0.5)
        network.publish(UP, uplink("d", 8))
        assert drain(settings, database, clock, member_id(settings, 2), quiet_seconds=0.5) == 0
    with database.snapshot() as session:
        assert [row.reason for row in quarantine.listed(session)] == []
