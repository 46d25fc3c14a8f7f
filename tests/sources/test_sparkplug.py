"""Sparkplug B: births name what data carries, deaths are of one session, and what is not named waits."""

import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import select

from config.clock import VirtualClock
from config.settings import Settings
from gateway.ingest import ingest_batch
from gateway.message import Message, Rules
from gateway.replaying import Replayer
from gateway.sources.births import Births, Place
from gateway.sources.codecs import sparkplug
from gateway.sources.stored import load
from gateway.telemetry import Unreadable
from storage import births, gaps, outbox, quarantine
from storage.database import Database
from storage.errors import StorageError
from storage.tables import ObjectEvent, Outbox
from tests.sources.declaring import declare
from tests.sources.test_from_topic_to_usage import declare as declare_in
from tests.sources.test_from_topic_to_usage import quantities, register

NOON = datetime(2022, 4, 14, 12, tzinfo=UTC)
MS = 1649930400000
METRICS = """
metrics:
  - {name: energy, unit: kWh, kind: cumulative, decimals: 3}
  - {name: count, unit: unit, kind: delta}
  - {name: level, unit: Cel, kind: gauge}
"""
SPARKPLUG = METRICS + (
    "sources: [{name: plant, preset: sparkplug, metrics: [{name: Energy/Total, metric: energy, factor: '0.001'}]}]"
)


NUMBERS = {"name": 1, "alias": 2, "time": 3, "datatype": 4, "null": 7, "int": 10, "long": 11, "double": 13, "text": 15}
"""Of the fields of a metric, from the Sparkplug B schema."""


def varint(value: int) -> bytes:
    """Base 128, as protobuf has it; negative numbers as 64 bits of two's complement."""
    value &= (1 << 64) - 1
    made = b""
    while value >= 128:
        made += bytes([value % 128 + 128])
        value //= 128
    return made + bytes([value])


def field(number: int, value: Any) -> bytes:
    match value:
        case bool() | int():
            return varint(number << 3) + varint(int(value))
        case float():
            return varint(number << 3 | 1) + struct.pack("<d", value)
        case str():
            return varint(number << 3 | 2) + varint(len(value.encode())) + value.encode()
        case _:
            return varint(number << 3 | 2) + varint(len(value)) + bytes(value)


def metric(**said: Any) -> bytes:
    numbers = {
        "name": 1,
        "alias": 2,
        "time": 3,
        "datatype": 4,
        "null": 7,
        "int": 10,
        "long": 11,
        "double": 13,
        "text": 15,
    }
    return field(2, b"".join(field(numbers[key], value) for key, value in said.items()))


def payload(*metrics: bytes, seq: int | None = None, time: int | None = MS) -> bytes:
    head = b"" if time is None else field(1, time)
    return head + b"".join(metrics) + (b"" if seq is None else field(3, seq))


DBIRTH = payload(
    metric(name="Energy/Total", alias=7, datatype=8, long=12_000_000_000),
    metric(name="count", alias=8, datatype=3, int=5),
    metric(name="level", alias=9, datatype=1, int=0xFFFFFFFB),
    seq=1,
)
NBIRTH = payload(metric(name="bdSeq", datatype=8, long=3), seq=0)


def test_a_birth_names_what_data_carries_and_counts_no_delta_twice() -> None:
    plant = declare(SPARKPLUG.replace(METRICS, ""), METRICS)
    assert plant.events("spBv1.0/G/NBIRTH/E", NBIRTH) == [("G:E", "online", True)]
    at = "2022-04-14T10:00:00+00:00"
    assert plant.events("spBv1.0/G/DBIRTH/E/D", DBIRTH) == [("G:E:D", "online", True)]
    assert plant.usage("spBv1.0/G/DBIRTH/E/D", DBIRTH) == [
        ("G:E:D", at, {"energy": "12000000"}),
        ("G:E:D", at, {"level": "-5"}),
    ]
    data = payload(
        metric(alias=8, int=2, time=MS - 1000), metric(alias=7, long=12_000_000_500), metric(alias=9, null=True)
    )
    assert plant.usage("spBv1.0/G/DDATA/E/D", data) == [
        ("G:E:D", "2022-04-14T09:59:59+00:00", {"count": "2"}),
        ("G:E:D", at, {"energy": "12000000.5"}),
    ]
    assert plant.refusal("spBv1.0/G/DDATA/E/OTHER", data) == "no_birth"
    assert plant.refusal("spBv1.0/G/DDATA/E/D", payload(metric(alias=99, int=1))) == "no_birth"
    assert plant.parts("spBv1.0/G/DCMD/E/D", data) == []
    assert plant.sources.route("spBv1.0/STATE/host") is None


def test_a_death_is_of_the_session_that_was_born_last() -> None:
    plant = declare(SPARKPLUG.replace(METRICS, ""), METRICS)
    plant.parts("spBv1.0/G/NBIRTH/E", NBIRTH)
    late = payload(metric(name="bdSeq", long=2), time=None)
    assert plant.parts("spBv1.0/G/NDEATH/E", late) == []
    death = payload(metric(name="bdSeq", long=3), time=None)
    assert plant.events("spBv1.0/G/NDEATH/E", death, retained=False) == [("G:E", "offline", False)]
    assert plant.keys("spBv1.0/G/NDEATH/E", death) == ["bdSeq 3"]
    assert plant.events("spBv1.0/G/DDEATH/E/D", payload(seq=2)) == [("G:E:D", "offline", False)]


def test_the_death_of_an_edge_node_is_that_of_its_devices() -> None:
    plant = declare(SPARKPLUG.replace(METRICS, ""), METRICS)
    plant.parts("spBv1.0/G/NBIRTH/E", NBIRTH)
    for place in ("E/D", "E/F", "OTHER/D"):
        plant.parts(f"spBv1.0/G/DBIRTH/{place}", DBIRTH)
    late = payload(metric(name="bdSeq", long=2), time=None)
    assert plant.parts("spBv1.0/G/NDEATH/E", late) == []
    death = payload(metric(name="bdSeq", long=3), time=None)
    assert plant.events("spBv1.0/G/NDEATH/E", death) == [
        ("G:E", "offline", False),
        ("G:E:D", "offline", False),
        ("G:E:F", "offline", False),
    ]


def test_a_message_that_is_missing_asks_for_a_birth_once() -> None:
    births = Births()

    def place(kind: str) -> Place:
        return Place("plant", kind, "G", "E", "", "spBv1.0/G/NCMD/E")

    for kind, seq in (("NBIRTH", 254), ("NDATA", 255), ("NDATA", 0), ("NDATA", 0), ("NBIRTH", 7)):
        births.documents(place(kind), payload(seq=seq))
    assert births.asked == set()
    births.documents(place("NDATA"), payload(seq=9))
    assert births.asked == {"spBv1.0/G/NCMD/E"}
    births.settle()
    births.documents(place("NDATA"), payload(seq=11))
    assert births.asked == set()


@pytest.mark.parametrize(
    "raw,datatype,wanted",
    [(0xFFFFFFFF, 3, -1), (0xFF, 1, -1), (0xFFFFFFFE, 2, -2), ((1 << 64) - 5, 4, -5), (0xFFFFFFFF, 7, 0xFFFFFFFF)],
)
def test_signed_integers_come_as_twos_complement(raw: int, datatype: int, wanted: int) -> None:
    assert sparkplug.signed(raw, datatype) == wanted


def test_a_float_is_the_shortest_decimal_that_names_it() -> None:
    short = field(2, field(1, "f") + varint(12 << 3 | 5) + struct.pack("<f", 0.1))
    double = metric(name="d", double=1234.567)
    assert [str(it.raw) for it in sparkplug.decode(short + double).metrics] == ["0.1", "1234.567"]
    assert sparkplug.decode(metric(name="n", double=float("nan"))).metrics[0].raw == "nan"


@given(noise=st.binary(max_size=60))
def test_no_bytes_raise_anything_but_a_refusal(noise: bytes) -> None:
    births = Births()
    for kind in ("NBIRTH", "NDATA", "NDEATH"):
        for body in (noise, DBIRTH[: len(noise)] + noise):
            try:
                births.documents(Place("s", kind, "G", "E", "", "t"), body)
            except Unreadable as error:
                assert error.reason in {"no_birth", "bad_protobuf", "bad_text"}  # noqa: PT017 - one of several outcomes


def test_what_came_before_its_birth_waits_and_comes_in_after_it(database: Database) -> None:
    declare_in(database, SPARKPLUG)
    register(database, "G:E:D")

    def rules() -> Rules:
        with database.snapshot() as session:
            return Rules.of(Settings(), load(session))

    def take(in_force: Rules, kind: str, body: bytes) -> dict[str, int]:
        message = Message(topic=f"spBv1.0/G/{kind}/E/D", payload=body, received_at=NOON)
        return dict(ingest_batch(database, [message], in_force, now=NOON).refused)

    data = payload(metric(alias=7, long=12_000_000_500, time=MS + 1000), seq=2)
    first = rules()
    assert take(first, "DDATA", data) == {"no_birth": 1}
    with database.snapshot() as session:
        (asked,) = session.exec(select(Outbox)).all()
        assert (asked.topic, asked.expires_at) == ("spBv1.0/G/NCMD/E", NOON + timedelta(minutes=5))
        content = outbox.content(asked)
        assert isinstance(content, bytes)
        assert [(it.name, it.raw) for it in sparkplug.decode(content).metrics] == [("Node Control/Rebirth", True)]
    replayer = Replayer(database, VirtualClock(NOON), Settings())
    assert replayer.look() == 0
    assert take(first, "DBIRTH", DBIRTH) == {}
    assert replayer.look() == 1
    assert replayer.look() == 0
    # Another process, or the same one after a start, knows the births that were kept.
    assert take(rules(), "DDATA", payload(metric(alias=7, long=12_000_001_000, time=MS + 2000))) == {}
    assert quantities(database) == [-5_000_000, 12_000_000_000, 12_000_000_500, 12_000_001_000]
    with database.snapshot() as session:
        assert quarantine.listed(session) == []
        assert [it.kind for it in session.exec(select(ObjectEvent))] == ["online"]


def test_what_an_edge_node_lost_is_a_gap_of_all_that_was_heard_behind_it(database: Database) -> None:
    declare_in(database, SPARKPLUG)
    register(database, "G:E:D", "G:E:D2", "G:F:D")
    with database.snapshot() as session:
        in_force = Rules.of(Settings(), load(session))

    def take(topic: str, seq: int, at: datetime) -> None:
        birth = payload(metric(name="Energy/Total", alias=7, datatype=8, long=12_000_000_000), seq=seq)
        message = Message(topic=f"spBv1.0/G/{topic}", payload=birth, received_at=at)
        assert not ingest_batch(database, [message], in_force, now=at).refused

    take("DBIRTH/E/D", 254, NOON)
    take("DBIRTH/F/D", 3, NOON)
    take("DBIRTH/E/D2", 255, NOON + timedelta(seconds=1))
    take("DDATA/E/D2", 2, NOON + timedelta(seconds=5))
    take("DDATA/E/D", 3, NOON + timedelta(seconds=6))
    with database.snapshot() as session:
        found = [(it.object_reference, it.gap.lost, it.gap.starts_at, it.gap.ends_at) for it in gaps.listed(session)]
    since, until = NOON + timedelta(seconds=1), NOON + timedelta(seconds=5)
    assert sorted(found) == [("G:E:D", 2, since, until), ("G:E:D2", 2, since, until)]


def test_a_batch_that_the_database_did_not_take_is_read_again_without_a_gap(database: Database) -> None:
    declare_in(database, SPARKPLUG)
    register(database, "G:E:D")
    with database.snapshot() as session:
        in_force = Rules.of(Settings(), load(session))

    def said(kind: str, seq: int) -> Message:
        energy = metric(name="Energy/Total", alias=7, datatype=8, long=12_000_000_000)
        birth = payload(energy, seq=seq, time=MS + 1000 * seq)
        return Message(topic=f"spBv1.0/G/{kind}/E/D", payload=birth, received_at=NOON + timedelta(seconds=seq))

    def rename(table: str, name: str) -> None:
        with database.transaction() as session:
            session.connection().execute(text(f"ALTER TABLE {table} RENAME TO {name}"))

    ingest_batch(database, [said("DBIRTH", 1)], in_force, now=NOON)
    batch = [said("DDATA", seq) for seq in (2, 3, 4, 5)]
    rename("usage_record", "away")
    with pytest.raises(StorageError):
        ingest_batch(database, batch, in_force, now=NOON)
    rename("away", "usage_record")
    assert not ingest_batch(database, batch, in_force, now=NOON).refused
    with database.snapshot() as session:
        assert gaps.listed(session) == []
        assert session.exec(select(Outbox)).all() == []
    ingest_batch(database, [said("DDATA", 7)], in_force, now=NOON)
    with database.snapshot() as session:
        assert [it.gap.lost for it in gaps.listed(session)] == [1]


def test_what_is_replayed_is_named_by_the_birth_of_its_time_and_asks_for_nothing(database: Database) -> None:
    declare_in(database, SPARKPLUG)
    with database.snapshot() as session:
        in_force = Rules.of(Settings(), load(session))

    def take(kind: str, seq: int, *said: bytes) -> None:
        at = NOON + timedelta(minutes=seq)
        body = payload(*said, seq=seq, time=MS + 60_000 * seq)
        message = Message(topic=f"spBv1.0/G/{kind}/E/D", payload=body, received_at=at)
        assert ingest_batch(database, [message], in_force, now=at).refused == {"unknown_object": 1}

    total, count = (metric(name=name, alias=7, datatype=8, long=1_000) for name in ("Energy/Total", "count"))
    take("DBIRTH", 1, total)
    take("DDATA", 2, metric(alias=7, long=2_000))
    take("DDATA", 4, metric(alias=7, long=3_000))
    # A new firmware gives the same alias to something else.
    take("DBIRTH", 5, count)
    take("DDATA", 6, metric(alias=7, long=4))
    with database.snapshot() as session:
        asked = len(session.exec(select(Outbox)).all())
        lost = len(gaps.listed(session))
        born = births.known(session)
    register(database, "G:E:D")
    replayer = Replayer(database, VirtualClock(NOON + timedelta(hours=1)), Settings())
    assert replayer.look() == 5
    # Readings of 1, 2 and 3 Wh in kWh with 3 decimals; 4 counted, with 6.
    assert quantities(database) == [1_000, 2_000, 3_000, 4_000_000]
    with database.snapshot() as session:
        assert (len(session.exec(select(Outbox)).all()), len(gaps.listed(session))) == (asked, lost)
        assert births.known(session) == born
    assert not ingest_batch(
        database,
        [
            Message(
                topic="spBv1.0/G/DDATA/E/D",
                payload=payload(metric(alias=7, long=5), seq=7, time=MS + 420_000),
                received_at=NOON + timedelta(hours=2),
            )
        ],
        in_force,
        now=NOON + timedelta(hours=2),
    ).refused
    assert quantities(database)[-1] == 5_000_000
