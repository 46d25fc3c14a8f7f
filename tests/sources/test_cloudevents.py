"""CloudEvents in both modes: the attributes of a binary event are user properties, and its payload is the data."""

import contextlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import select

from config.clock import VirtualClock
from config.settings import Settings
from gateway.app import Gateway
from gateway.attached import Attached, attached, from_kept
from gateway.cli.main import main
from gateway.ingest import ingest_batch
from gateway.message import Message
from gateway.replaying import Replayer, replay_all
from gateway.sources.access import lines
from gateway.sources.codecs.cloudevents import decode_event
from gateway.telemetry import Unreadable
from storage import quarantine, sources
from storage.database import Database
from storage.quarantine import Which
from storage.tables import QuarantineState, UsageRecord
from tests import brokers
from tests.brokers import eventually
from tests.conftest import missing
from tests.sources.test_from_topic_to_usage import METRICS, NOON, declare, quantities, register, rules

AT = "2022-04-14T10:00:00Z"
STATED = {
    "specversion": "1.0",
    "id": "A234",
    "source": "fleet",
    "subject": "IOT_NS542",
    "type": "com.example.metered",
    "time": AT,
}
TOPIC = "events/fleet"
EVENTS = METRICS + "sources: [{name: events, preset: cloudevents, prefix: events}]"


def beside(*more: tuple[str, str], content_type: str | None = "application/json", **changed: str | None) -> Attached:
    """The attributes as user properties; `changed` ones are others, or not there."""
    stated = {name: value for name, value in {**STATED, **changed}.items() if value is not None}
    return Attached(content_type, (*stated.items(), *more))


def decoded(payload: bytes, attachment: Attached) -> Any:
    (document,) = decode_event(payload, attachment)
    return document


def refusal(payload: bytes, attachment: Attached) -> tuple[str, str]:
    with pytest.raises(Unreadable) as refused:
        decode_event(payload, attachment)
    return refused.value.reason, str(refused.value)


def event(payload: bytes = b'{"energy": 12}', *more: tuple[str, str], **changed: Any) -> Message:
    return Message(topic=TOPIC, payload=payload, received_at=NOON, attached=beside(*more, **changed))


def test_a_binary_event_is_the_same_document_as_a_structured_one() -> None:
    whole = {**STATED, "datacontenttype": "application/json", "data": {"energy": 12}}
    assert decoded(b'{"energy": 12}', beside()) == whole
    body = json.dumps(whole).encode()
    for content_type in ("application/cloudevents+json; charset=utf-8", "Application/CloudEvents", None):
        assert decoded(body, Attached(content_type)) == whole
    batch = Attached("application/cloudevents-batch+json")
    assert decode_event(b"[" + body + b"," + body + b"]", batch) == [whole, whole]


def test_a_structured_event_may_carry_properties_of_its_way() -> None:
    body = json.dumps({**STATED, "data": {"energy": 12}}).encode()
    assert decoded(body, Attached(None, (("traceparent", "00-1"),)))["id"] == "A234"
    assert decoded(body, Attached("application/cloudevents+json", (("id", "B"),)))["id"] == "A234"


@pytest.mark.parametrize(
    "payload, content_type, data",
    [
        (b'{"energy": 1.50}', None, {"energy": "1.50"}),
        (b'{"energy": 2}', "application/vnd.meter+json", {"energy": "2"}),
        (b"[1, 2]", "application/json; charset=utf-8", ["1", "2"]),
        (b" 21.5 ", "text/plain", "21.5"),
        (b"open", "text/plain", "open"),
    ],
)
def test_data_is_read_as_its_type_says(payload: bytes, content_type: str | None, data: Any) -> None:
    found = decoded(payload, beside(content_type=content_type))["data"]
    assert json.loads(json.dumps(found, default=str), parse_int=str) == data


def test_an_event_without_data_and_with_extensions_is_an_event() -> None:
    found = decoded(b"", beside(("deviceid", "D1"), ("Trace-Id", "x"), ("Trace-Id", "y"), content_type=None))
    assert found == {**STATED, "deviceid": "D1"}


@pytest.mark.parametrize(
    "payload, attachment, reason, sentence",
    [
        (b"{}", beside(id=None), "bad_shape", "'id', which is missing"),
        (b"{}", beside(id=""), "bad_shape", "'id', which is missing"),
        (b"{}", beside(source=None), "bad_shape", "'source', which is missing"),
        (b"{}", beside(type=None), "bad_shape", "'type', which is missing"),
        (b"{}", beside(specversion=None), "bad_shape", "'specversion', which is missing"),
        (b"{}", beside(specversion="0.3"), "bad_shape", "says CloudEvents '0.3'; 1.0 is read"),
        (b"{}", beside(("id", "A234")), "bad_shape", "'id' stands twice"),
        (b"{}", beside(("subject", "IOT_OTHER")), "bad_shape", "'subject' stands twice"),
        (b"{}", beside(("data", "{}")), "bad_shape", "'data' says what the message itself says"),
        (b"{", beside(), "bad_json", "is not JSON"),
        (b"\xff", beside(content_type="text/plain"), "bad_text", "is not text"),
        (b"{}", beside(content_type="image/png"), "bad_shape", "'image/png' is not read"),
        (b"<e/>", Attached("application/cloudevents+xml"), "bad_shape", "is no JSON"),
        (b'{"specversion": "2.0"}', Attached("application/cloudevents"), "bad_shape", "says CloudEvents '2.0'"),
        (b"{}", Attached(fault="too_large"), "too_large", "more than 100 user properties"),
        (b"{}", Attached("application/json", fault="bad_text"), "bad_text", "not UTF-8"),
    ],
)
def test_what_is_no_event_is_refused_with_its_sentence(
    payload: bytes, attachment: Attached, reason: str, sentence: str
) -> None:
    found, said = refusal(payload, attachment)
    assert found == reason
    assert sentence in said


@given(
    st.binary(max_size=40) | st.just(b'{"energy": 1}'),
    st.none() | st.binary(max_size=40) | st.sampled_from([b"application/json", b"application/cloudevents", b"text/a"]),
    st.lists(st.tuples(st.binary(max_size=9) | st.sampled_from([*map(str.encode, STATED)]), st.binary(max_size=9))),
)
def test_any_bytes_beside_any_bytes_are_events_or_one_refusal(
    payload: bytes, content_type: bytes | None, pairs: list[tuple[bytes, bytes]]
) -> None:
    attachment = attached(content_type, pairs)
    assert attachment is not None or (content_type is None and not pairs)
    if attachment is None:
        return
    assert from_kept(json.loads(json.dumps(attachment.kept()))) == attachment._replace(
        content_type=attachment.content_type or None
    )
    with contextlib.suppress(Unreadable):
        assert isinstance(decode_event(payload, attachment), list)


def test_the_preset_takes_both_modes_and_knows_a_repeat_in_either(database: Database) -> None:
    declare(database, EVENTS)
    register(database, "IOT_NS542", "fleet")
    whole = json.dumps({**STATED, "data": {"energy": 12}}).encode()
    batch = [
        event(),
        event(),
        Message(topic=TOPIC, payload=whole, received_at=NOON),
        event(b'{"energy": 13}', id="A235", subject=None),
    ]
    applied = ingest_batch(database, batch, rules(database), now=NOON)
    assert (applied.records, applied.duplicates, dict(applied.refused)) == (2, 2, {})
    assert quantities(database) == [12_000, 13_000]


def test_a_binary_event_waits_with_its_properties_and_its_replay_gives_the_missing_usage_once(
    database: Database,
) -> None:
    declare(database, EVENTS)
    other = event(b'{"energy": 13}', ("apitoken", "hush"), id="A235")
    applied = ingest_batch(database, [event(), other], rules(database), now=NOON)
    assert dict(applied.refused) == {"unknown_object": 2}
    with database.snapshot() as session:
        kept = quarantine.listed(session)
        assert [from_kept(row.properties) for row in kept] == [event().attached, other.attached]
    register(database, "IOT_NS542")
    replayer = Replayer(database, VirtualClock(NOON), Settings())
    assert replayer.look() == 2
    assert quantities(database) == [12_000, 13_000]
    assert replayer.look() == 0
    assert replay_all(database, Settings(), Which(reason="unknown_object"), now=NOON).done == 0
    ingest_batch(database, [event(), other], rules(database), now=NOON)
    assert quantities(database) == [12_000, 13_000]


def test_a_mapping_that_was_mended_finds_the_properties_again(database: Database) -> None:
    wrong = (
        "sources: [{name: events, topic: 'events/{rest...}', object: subject, metrics: [{path: e, metric: energy}]}]"
    )
    declare(database, METRICS + wrong)
    register(database, "IOT_NS542")
    assert dict(ingest_batch(database, [event()], rules(database), now=NOON).refused) == {"no_object": 1}
    declare(database, EVENTS)
    assert replay_all(database, Settings(), Which(reason="no_object"), now=NOON).done == 1
    assert replay_all(database, Settings(), Which(reason="no_object"), now=NOON).done == 0
    assert quantities(database) == [12_000]


def test_retained_copies_that_differ_in_their_properties_alone_are_two(database: Database) -> None:
    declare(database, EVENTS)
    copies = [event(), event(), event(id="A235")]
    for copy in copies:
        copy.retained = True
    ingest_batch(database, copies, rules(database), now=NOON)
    with database.snapshot() as session:
        assert len(quarantine.listed(session)) == 2


def test_properties_take_room_in_the_quarantine(database: Database) -> None:
    declare(database, EVENTS)
    ingest_batch(database, [event(b"{", ("note", "x" * 5_000))], rules(database), now=NOON)
    with database.transaction() as session:
        assert len(quarantine.listed(session)) == 1
        before = session.get_one(QuarantineState, 1).size_bytes
        quarantine.tidy(session, resolved_before=NOON, limit_bytes=10**6)
        session.expire_all()
        assert session.get_one(QuarantineState, 1).size_bytes == before > 5_000


def test_quarantine_show_prints_the_properties_and_masks_secrets(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("METERGATE_DATABASE_URL", sqlite_url)
    database = Database(sqlite_url)
    database.migrate()
    declare(database, EVENTS)
    refused = event(b"{}", ("apitoken", "hush"), id=None)
    ingest_batch(database, [refused], rules(database), now=NOON)
    with pytest.raises(SystemExit):
        main(["quarantine", "show", "1"])
    shown = capsys.readouterr().out
    assert '"content_type": "application/json"' in shown
    assert '"subject": "IOT_NS542"' in shown
    assert '"apitoken": "***"' in shown
    assert "hush" not in shown


def test_properties_without_bound_are_refused_and_not_kept(database: Database) -> None:
    declare(database, EVENTS)
    flood = attached(b"application/json", [(b"a", b"b" * 200)] * 1_000)
    message = Message(topic=TOPIC, payload=b"{}", received_at=NOON, attached=flood)
    assert dict(ingest_batch(database, [message], rules(database), now=NOON).refused) == {"too_large": 1}
    with database.snapshot() as session:
        (row,) = quarantine.listed(session)
        assert row.properties == {"content_type": "application/json", "fault": "too_large"}


@pytest.mark.parametrize("receiver", ["native", "paho"])
def test_a_binary_event_through_a_real_broker_becomes_usage(
    sqlite_database: Database, tmp_path: Path, receiver: str
) -> None:
    if brokers.binaries() is None:
        missing("Mosquitto", brokers.FIX)
    declare(sqlite_database, EVENTS)
    register(sqlite_database, "IOT_NS542")
    with sqlite_database.snapshot() as session:
        definitions = {row.name: row.definition for row in sources.in_force(session)}
    with brokers.mosquitto(tmp_path, users=("bridge",)) as broker:
        acl = broker.folder / "mosquitto.acl"
        allowed = lines(definitions, gateway="gateway", principals=["bridge"], own=False)
        acl.write_text(acl.read_text() + "".join(f"\nuser {it.user}\n{it.text}\n" for it in allowed))
        broker.stop()
        broker.start()

        def publish(payload: str, attachment: Attached) -> None:
            told = [
                word
                for name, value in attachment.properties
                for word in ("-D", "publish", "user-property", name, value)
            ]
            typed = ["-D", "publish", "content-type", attachment.content_type or ""]
            where = ["-h", "127.0.0.1", "-p", str(broker.port), "-u", "bridge", "-P", "bridge"]
            what = ["-t", TOPIC, "-q", "1", "-m", payload]
            subprocess.run(["mosquitto_pub", "-V", "mqttv5", *where, *what, *typed, *told], check=True, timeout=20)

        def records() -> list[int]:
            with sqlite_database.snapshot() as session:
                return sorted(session.exec(select(UsageRecord.quantity)))

        def waiting() -> list[tuple[str, Any]]:
            with sqlite_database.snapshot() as session:
                return [(row.detail, from_kept(row.properties)) for row in quarantine.listed(session)]

        settings = Settings(broker_url=broker.url(), receiver=receiver)
        with Gateway(sqlite_database, VirtualClock(NOON), settings):

            def first_is_in() -> bool:
                """A new subscription is there a moment later; the same event again changes nothing."""
                publish('{"energy": 12}', beside())
                return records() == [12_000]

            eventually(first_is_in, "the event is usage")
            publish('{"energy": 13}', beside(id="A235"))
            eventually(lambda: records() == [12_000, 13_000], "the second event is usage too")
            without = beside(id=None)
            publish('{"energy": 14}', without)
            eventually(lambda: len(waiting()) == 1, "the event without an id waits")
    ((detail, kept),) = waiting()
    assert "'id', which is missing" in detail
    assert kept == without
