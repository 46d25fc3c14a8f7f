"""The receiver on a real broker: acknowledged is committed, and each speaks only under its own name."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
from sqlalchemy import func
from sqlmodel import select

from config.clock import SystemClock
from config.settings import Settings
from gateway.mqtt import address_from
from gateway.receiver import BrokerError, ControlProperties, Receiver
from storage import quarantine, usage
from storage.database import Database
from storage.errors import DatabaseBusy
from storage.tables import ObjectPresence, UsageRecord
from tests import brokers
from tests.brokers import Broker, Peer, eventually
from tests.conftest import missing
from tests.ingest.conftest import REFERENCE

NEIGHBOUR = "IOT_NS543"
TOPIC = f"devices/{REFERENCE}/telemetry"
Command = tuple[str, bytes, bool, ControlProperties]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    if brokers.binaries() is None:
        missing("Mosquitto", brokers.FIX)
    folder = tmp_path / "broker"
    folder.mkdir()
    with brokers.mosquitto(folder, users=(REFERENCE, NEIGHBOUR)) as running:
        yield running


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The broker is what is proved here; the writing is proved on both databases beside."""
    return sqlite_url


Client = Literal["native", "paho"]
Receiving = Callable[..., AbstractContextManager[Receiver]]


@pytest.fixture(params=["native", "paho"])
def client(request: pytest.FixtureRequest) -> Client:
    """The law is the same whichever client receives."""
    found: Client = request.param
    return found


@pytest.fixture
def receiving(client: Client) -> Receiving:
    return partial(_receiving, client=client)


@contextmanager
def _receiving(
    broker: Broker,
    database: Database,
    *,
    client: Client,
    version: Literal["5", "3.1.1"] = "5",
    handle: Callable[[str, bytes, bool, ControlProperties], None] = lambda *_: None,
    stop_seconds: int = 10,
) -> Iterator[Receiver]:
    settings = Settings(broker_url=broker.url(), mqtt_version=version, receiver=client, stop_seconds=stop_seconds)
    receiver = Receiver(settings, database, SystemClock(), handle)
    receiver.start()
    try:
        receiver.wait_ready(10)
        yield receiver
    finally:
        receiver.stop()


def count(database: Database) -> int:
    with database.snapshot() as session:
        return session.exec(select(func.count()).select_from(UsageRecord)).one()


def sample(identity: object, value: int = 1) -> str:
    return json.dumps({"id": str(identity), "metrics": {"usage": value}})


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_what_an_object_publishes_is_recorded(
    receiving: Receiving, broker: Broker, database: Database, version: Literal["5", "3.1.1"]
) -> None:
    with receiving(broker, database, version=version), Peer(broker, REFERENCE) as thing:
        assert thing.publish(TOPIC, sample("a", 12))
        assert thing.publish(f"devices/{REFERENCE}/lifecycle", '{"event": "online"}')
        eventually(lambda: count(database) == 1, "the usage is recorded")

        def online() -> bool:
            with database.snapshot() as session:
                return session.exec(select(ObjectPresence.online)).first() is True

        eventually(online, "the object is online")


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize("qos", [0, 1])
def test_what_is_published_while_the_gateway_is_away_waits(
    receiving: Receiving, broker: Broker, database: Database, version: Literal["5", "3.1.1"], qos: int
) -> None:
    with receiving(broker, database, version=version):
        pass
    with Peer(broker, REFERENCE) as thing:
        for number in range(50):
            thing.publish(TOPIC, sample(number), qos=qos)
    broker.stop()
    broker.start()
    with receiving(broker, database, version=version):
        eventually(lambda: count(database) == 50, "what waited is recorded")


def test_anonymous_and_wrong_passwords_are_refused(client: Client, broker: Broker, database: Database) -> None:
    with pytest.raises(brokers.Refused), Peer(broker, None):
        pass
    receiver = Receiver(
        Settings(broker_url=f"mqtt://gateway:wrong@127.0.0.1:{broker.port}", receiver=client),
        database,
        SystemClock(),
        lambda *_: None,
    )
    receiver.start()
    try:
        with pytest.raises(BrokerError, match=r"(?i)not authorized"):
            receiver.wait_ready(1)
    finally:
        receiver.stop()


def test_an_object_speaks_and_hears_only_under_its_own_name(broker: Broker) -> None:
    with Peer(broker, REFERENCE) as thing, Peer(broker, NEIGHBOUR) as neighbour, Peer(broker, "gateway") as gateway:
        for pattern in ("devices/#", "control/#"):
            gateway.subscribe(pattern)
            neighbour.subscribe(pattern)
        for topic in (
            f"devices/{NEIGHBOUR}/telemetry",
            f"devices/{NEIGHBOUR}/lifecycle",
            f"devices/{REFERENCE}/state",
            f"devices/{REFERENCE}/commands",
            f"control/objects/{REFERENCE}/activate",
            f"control/objects/{REFERENCE}/activate/reply",
        ):
            assert not thing.publish(topic, "{}"), topic
        assert thing.publish(TOPIC, "{}")
        assert gateway.publish(f"devices/{NEIGHBOUR}/state", "{}")
        eventually(lambda: gateway.received and neighbour.received, "both hear what is theirs")
        assert gateway.received == [(TOPIC, b"{}")]
        assert neighbour.received == [(f"devices/{NEIGHBOUR}/state", b"{}")]


def test_the_back_office_commands_and_the_commands_are_handed_over(
    receiving: Receiving, broker: Broker, database: Database
) -> None:
    commands: list[Command] = []
    faults = [DatabaseBusy("busy"), None]

    def handle(topic: str, payload: bytes, retained: bool, properties: ControlProperties) -> None:  # noqa: FBT001
        if faults and (fault := faults.pop(0)):
            raise fault
        commands.append((topic, payload, retained, properties))

    with receiving(broker, database, handle=handle), Peer(broker, "backoffice") as office:
        topic = f"control/objects/{REFERENCE}/activate"
        office.subscribe("control/#")
        assert office.publish(topic, "{}", response_topic="control/replies/7")
        assert not office.publish(TOPIC, sample("forged"))
        eventually(lambda: commands, "the command is handed over, after a retry")
        assert commands == [
            (
                topic,
                b"{}",
                False,
                ControlProperties(response_topic="control/replies/7", correlation_data=b"correlation"),
            )
        ]
        with Peer(broker, "gateway") as gateway:
            assert gateway.publish(f"{topic}/reply", "done")
            assert gateway.publish("control/replies/7", "done")
            assert not gateway.publish("somewhere/else", "done")
        answers = [(f"{topic}/reply", b"done"), ("control/replies/7", b"done")]
        eventually(lambda: office.received == answers, "the answers arrive")
    assert count(database) == 0


def test_a_command_that_breaks_is_quarantined_and_does_not_stand_in_the_way(
    receiving: Receiving, broker: Broker, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    def handle(*_: object) -> None:
        raise ZeroDivisionError

    with (
        receiving(broker, database, handle=handle),
        Peer(broker, "backoffice") as office,
        Peer(broker, REFERENCE) as it,
    ):
        office.publish(f"control/objects/{REFERENCE}/activate", "{}")
        it.publish(TOPIC, sample("after"))
        eventually(lambda: count(database) == 1, "the next message is recorded")
    with database.snapshot() as session:
        assert quarantine.counts(session) == {"failed": 1}
    assert "quarantined" in caplog.text


def test_a_locked_database_is_waited_out_without_loss(receiving: Receiving, broker: Broker, database: Database) -> None:
    with receiving(broker, database), Peer(broker, REFERENCE) as thing:
        with database.transaction() as session:
            session.connection()  # the lock is taken by the first use
            for number in range(20):
                thing.publish(TOPIC, sample(number))
            assert count(database) == 0
        eventually(lambda: count(database) == 20, "all is recorded once the lock is gone")


def test_killing_the_gateway_loses_nothing_and_doubles_nothing(
    receiving: Receiving, client: Client, broker: Broker, database: Database, database_url: str
) -> None:
    total, kills = 6000, 4
    environment = {
        **os.environ,
        "METERGATE_RECEIVER": client,
        "METERGATE_DATABASE_URL": database_url,
        "METERGATE_BROKER_URL": broker.url(),
    }

    def gateway() -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "tests.ingest.gateway_process"], env=environment, cwd=brokers.ROOT
        )

    with receiving(broker, database):
        pass  # the session exists from here on
    with Peer(broker, REFERENCE) as thing:
        done = threading.Event()

        def load() -> None:
            for number in range(total):
                thing.post(TOPIC, sample(number, number))
                done.wait(0.0002)
            done.set()

        publisher = threading.Thread(target=load)
        publisher.start()
        running = gateway()
        try:
            for kill in range(1, kills + 1):
                goal = kill * total // (kills + 2)
                eventually(lambda goal=goal: count(database) >= goal, f"{goal} records", seconds=60)
                running.kill()
                running.wait()
                running = gateway()
            publisher.join()
            eventually(lambda: thing.flushed(total), "the broker took everything", seconds=60)
            eventually(lambda: count(database) >= total, "everything is recorded", seconds=60)
        finally:
            done.set()
            running.kill()
            running.wait()
            publisher.join()
    with database.snapshot() as session:
        added = session.exec(select(func.count(), func.sum(UsageRecord.quantity)).select_from(UsageRecord)).one()
        assert tuple(added) == (total, sum(range(total)) * 10**6)
        assert usage.rollup_differences(session) == []
        assert quarantine.counts(session) == {}


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_nothing_is_acknowledged_before_its_commit(
    receiving: Receiving, broker: Broker, database: Database, version: Literal["5", "3.1.1"]
) -> None:
    """While the database is locked the broker keeps all; killed there and started again it sends all again."""
    with receiving(broker, database, version=version):
        pass
    with database.transaction() as session:
        session.connection()
        with receiving(broker, database, version=version, stop_seconds=1), Peer(broker, REFERENCE) as thing:
            for number in range(20):
                thing.publish(TOPIC, sample(number))
    assert count(database) == 0
    with receiving(broker, database, version=version):
        eventually(lambda: count(database) == 20, "what was not committed comes again")


def test_a_broker_that_comes_back_is_found_again(receiving: Receiving, broker: Broker, database: Database) -> None:
    with receiving(broker, database) as receiver:
        broker.stop()
        eventually(lambda: not receiver.connected, "the end is noticed")
        broker.start()
        eventually(lambda: receiver.connected, "the subscriptions stand again", seconds=20)
        with Peer(broker, REFERENCE) as thing:
            thing.publish(TOPIC, sample("after"))
        eventually(lambda: count(database) == 1, "it records again")


def test_two_gateways_with_one_client_id_lose_nothing_and_the_loser_stands_back(
    receiving: Receiving, broker: Broker, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with receiving(broker, database) as first, receiving(broker, database):
        eventually(lambda: not first.connected, "the first one is put out")
        with Peer(broker, REFERENCE) as thing:
            for number in range(50):
                thing.publish(TOPIC, sample(number))
        eventually(lambda: count(database) == 50, "one of them works on")
        eventually(lambda: "does another one use 'metergate'" in caplog.text, "the reason is told", seconds=30)


@contextmanager
def with_tls(broker: Broker, folder: Path) -> Iterator[tuple[int, Path]]:
    """The same broker behind TLS: its port, and the certificate of the authority that signed its own."""
    ca, key, asked, certificate = (folder / name for name in ("ca.pem", "ca.key", "broker.csr", "broker.pem"))
    subject = ("-newkey", "rsa:2048", "-nodes", "-subj")
    commands: tuple[list[str | Path], ...] = (
        ["req", "-x509", *subject, "/CN=Test CA", "-keyout", key, "-out", ca, "-days", "2"],
        ["req", *subject, "/CN=localhost", "-keyout", folder / "broker.key", "-out", asked],
        ["x509", "-req", "-in", asked, "-CA", ca, "-CAkey", key, "-CAcreateserial", "-out", certificate, "-days", "2",
         "-extfile", folder / "names"],
    )  # fmt: skip
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    for words in commands:
        subprocess.run(["openssl", *words], check=True, capture_output=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    lines = f"\nlistener {port} 127.0.0.1\ncertfile {certificate}\nkeyfile {folder / 'broker.key'}\n"
    configuration = broker.folder / "mosquitto.conf"
    configuration.write_text(configuration.read_text() + lines)
    broker.stop()
    broker.start()
    yield port, ca


def test_tls_is_checked_and_carries_everything(
    client: Client, broker: Broker, database: Database, tmp_path: Path
) -> None:
    with with_tls(broker, tmp_path) as (port, ca):
        url = f"mqtts://gateway:gateway@localhost:{port}"
        settings = Settings(broker_url=url, broker_ca_file=str(ca), receiver=client)
        receiver = Receiver(settings, database, SystemClock(), lambda *_: None)
        receiver.start()
        try:
            receiver.wait_ready(10)
            with Peer(broker, REFERENCE) as thing:
                for number in range(300):
                    thing.post(TOPIC, sample(number))
                eventually(lambda: count(database) == 300, "all is recorded")
        finally:
            receiver.stop()
        for address, authorities in ((url, ""), (url.replace("localhost", "127.0.0.1"), str(ca))):
            settings = Settings(broker_url=address, broker_ca_file=authorities, receiver=client)
            stranger = Receiver(settings, database, SystemClock(), lambda *_: None)
            stranger.start()
            try:
                with pytest.raises(BrokerError, match=r"(?i)certificate|mismatch"):
                    stranger.wait_ready(1)
            finally:
                stranger.stop()


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_what_waited_for_the_database_when_the_connection_ended_is_counted_once(
    receiving: Receiving, broker: Broker, database: Database, database_url: str, version: Literal["5", "3.1.1"]
) -> None:
    """It has no key: were it written and then sent again, it would be there twice."""
    impatient = Database(database_url, busy_timeout_ms=20)
    with receiving(broker, impatient, version=version) as receiver, Peer(broker, REFERENCE) as thing:
        with database.transaction() as session:
            session.connection()  # the lock is taken by the first use
            for _ in range(5):
                assert thing.publish(TOPIC, '{"metrics": {"usage": 1}}')
            eventually(lambda: not receiver.idle, "they wait for the database")
            broker.stop()
            eventually(lambda: receiver.idle, "they are forgotten with their connection")
            broker.start()
        eventually(lambda: receiver.stored >= 5, "they come again")
        eventually(lambda: receiver.connected and receiver.idle, "and are done with")
    impatient.dispose()
    assert count(database) == 5


def test_a_stop_ends_within_its_limit_although_the_database_hangs(
    client: Client, receiving: Receiving, broker: Broker, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    entered, released = threading.Event(), threading.Event()

    def hang(*_: object) -> None:
        entered.set()
        released.wait(30)

    settings = Settings(broker_url=broker.url(), receiver=client, stop_seconds=1)
    receiver = Receiver(settings, database, SystemClock(), hang)
    receiver.start()
    receiver.wait_ready(10)
    with Peer(broker, "backoffice") as office:
        office.publish(f"control/objects/{REFERENCE}/activate", "{}")
        assert entered.wait(10)
        receiver.stop()
    assert "did not answer within 1 s" in caplog.text
    again: list[Command] = []
    with receiving(broker, database, handle=lambda *command: again.append(command)):
        eventually(lambda: again, "it was not acknowledged, so it comes again")
    released.set()


def test_a_retained_copy_is_known_as_one(receiving: Receiving, broker: Broker, database: Database) -> None:
    with Peer(broker, REFERENCE) as thing:
        thing.publish(TOPIC, '{"metrics": {"usage": 1}}', retain=True)
    with receiving(broker, database) as receiver:
        eventually(lambda: receiver.stored == 1, "the retained copy is taken")
    with database.snapshot() as session:
        assert quarantine.counts(session) == {"retained_unkeyed": 1}


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_payload_over_the_limit_is_quarantined_whole(
    receiving: Receiving, broker: Broker, database: Database, version: Literal["5", "3.1.1"]
) -> None:
    large = json.dumps({"id": "large", "metrics": {"usage": 1}, "filler": "x" * 900_000})
    with receiving(broker, database, version=version) as receiver, Peer(broker, REFERENCE) as thing:
        assert thing.publish(TOPIC, large)
        assert thing.publish(TOPIC, sample("small"))
        eventually(lambda: receiver.stored == 2, "both are committed")
    assert count(database) == 1
    with database.snapshot() as session:
        (row,) = quarantine.listed(session)
        assert row.payload == large.encode()


def test_the_receiver_says_whether_the_broker_kept_the_session(
    client: Client, broker: Broker, database: Database
) -> None:
    heard: list[bool] = []
    settings = Settings(broker_url=broker.url(), receiver=client)
    receiver = Receiver(settings, database, SystemClock(), lambda *_: None, on_connected=heard.append)
    receiver.start()
    try:
        receiver.wait_ready(10)
        assert heard == [False]
        broker.stop()
        broker.start()
        eventually(lambda: heard == [False, True] and receiver.connected, "the kept session")
    finally:
        receiver.stop()


def test_a_file_of_certificates_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"METERGATE_BROKER_CA_FILE .*absent\.pem cannot be used: No such file"):
        address_from("mqtts://broker", str(tmp_path / "absent.pem"))
