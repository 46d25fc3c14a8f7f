"""What waited comes in by command, by itself once its object is registered, or is registered at the door."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from config.clock import VirtualClock
from config.settings import Settings
from gateway.cli.main import main
from gateway.ingest import ingest_batch
from gateway.message import Message
from gateway.replaying import Replayer, replay_all
from storage import quarantine
from storage.database import Database
from storage.quarantine import Which
from storage.tables import ConnectedObject, ObjectEvent, Quarantine
from tests.sources.test_from_topic_to_usage import METRICS, NOON, declare, quantities, register, rules, take

PACK = "{name: pack, topic: 'pack/{principal}', object: id, metrics: [{path: total, metric: energy}]}"
KEPT = METRICS + f"sources: [{PACK}]"


def sent(*entries: tuple[str, int]) -> tuple[str, bytes]:
    return "pack/p", json.dumps([{"id": name, "total": total} for name, total in entries]).encode()


def waiting(database: Database) -> list[tuple[str, str | None]]:
    with database.snapshot() as session:
        return [(row.reason, row.part) for row in quarantine.listed(session)]


def test_what_waited_for_an_object_comes_in_by_itself_once_it_is_registered(database: Database) -> None:
    declare(database, KEPT)
    take(database, sent(("A", 1), ("B", 2)), sent(("A", 3)), sent(("A", 4)), ("devices/A/telemetry", b'{"metrics": 1}'))
    replayer = Replayer(database, VirtualClock(NOON), Settings(), batch=2)
    assert replayer.look() == 0
    register(database, "A")
    assert replayer.look() == 3
    assert quantities(database) == [1000, 3000, 4000]
    assert replayer.look() == 0
    assert waiting(database) == [("bad_shape", None), ("unknown_object", "B")]
    register(database, "B")
    assert replayer.look() == 1
    assert Replayer(database, VirtualClock(NOON), Settings()).look() == 0
    assert quantities(database) == [1000, 2000, 3000, 4000]


def test_what_is_refused_again_waits_on_for_its_new_reason(database: Database) -> None:
    declare(database, KEPT)
    take(database, ("devices/A/telemetry", b'{"metrics": {"nothing": 1}}'))
    register(database, "A")
    assert Replayer(database, VirtualClock(NOON), Settings()).look() == 0
    assert waiting(database) == [("unknown_metric", None)]


def test_a_source_may_register_the_objects_that_nobody_has_registered(database: Database) -> None:
    declare(database, KEPT.replace("object: id", "object: id, unknown_objects: pending, kind: meter"))
    assert take(database, sent(("A", 1), ("B", 2), ("A", 3)), sent(("B", 5))) == {}
    assert quantities(database) == [1000, 2000, 3000, 5000]
    with database.snapshot() as session:
        objects = session.exec(select(ConnectedObject)).all()
        assert sorted((it.reference, it.status, it.kind) for it in objects) == [
            ("A", "pending", "meter"),
            ("B", "pending", "meter"),
        ]
        assert [it.kind for it in session.exec(select(ObjectEvent))] == ["created", "created"]
    assert take(database, ("devices/C/telemetry", b'{"metrics": {"energy": 1}}')) == {"unknown_object": 1}


def test_a_bulk_replay_takes_what_is_named_and_nothing_twice(database: Database) -> None:
    declare(database, KEPT)
    register(database, "A", "B")
    bad = [json.dumps([{"id": name, "total": f"x{n}"}]) for n in range(3) for name in ("A", "B")]
    batch = [
        Message(topic="pack/p", payload=body.encode(), received_at=NOON + timedelta(hours=n))
        for n, body in enumerate(bad)
    ]
    ingest_batch(database, batch, rules(database), now=NOON)
    declare(database, KEPT.replace("path: total", "path: \"total || '1'\""))
    settings = Settings()
    assert replay_all(database, settings, Which(reason="unknown_object"), now=NOON).done == 0
    came = replay_all(database, settings, Which(since=NOON + timedelta(hours=4)), now=NOON)
    assert (came.done, sorted(came.stayed)) == (0, [5, 6])
    mended = KEPT.replace("path: total, metric: energy", "path: id, metric: energy")
    declare(database, mended.replace("object: id", "reference: A").replace("path: id", "path: n"))
    with database.transaction() as session:
        for row in session.exec(select(Quarantine)):
            row.payload = b'{"n": 7}'
            session.add(row)
    assert replay_all(database, settings, Which(source="pack", until=NOON + timedelta(hours=2)), now=NOON).done == 2
    assert replay_all(database, settings, Which(ids=[1, 3]), now=NOON).done == 1
    assert replay_all(database, settings, Which(), now=NOON).done == 3
    assert replay_all(database, settings, Which(), now=NOON).done == 0
    assert quantities(database) == [7000] * 6


def test_the_command_replays_and_discards_by_what_messages_have_in_common(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("METERGATE_DATABASE_URL", sqlite_url)
    database = Database(sqlite_url)
    database.migrate()
    declare(database, KEPT)
    take(database, sent(("A", 1), ("B", 2)), ("elsewhere", b"1"))
    register(database, "A")

    def run(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["quarantine", *arguments])
        said = capsys.readouterr()
        return ended.value.code if isinstance(ended.value.code, int) else 0, said.out + said.err

    status, said = run("list", "--source", "pack", "--json")
    assert (status, [row["object"] for row in json.loads(said)]) == (0, ["A", "B"])
    assert run("replay", "--object", "A") == (0, "1 replayed, 0 stay\n")
    assert run("replay", "--object", "A") == (0, "0 replayed, 0 stay\n")
    status, said = run("replay", "--reason", "unknown_object", "--since", "2022-04-14")
    assert (status, "0 replayed, 1 stay" in said) == (1, True)
    assert run("replay")[0] == 2
    assert run("replay", "--since", "soon")[0] == 2
    assert run("discard", "--reason", "unknown_topic") == (0, "1 discarded\n")
    assert run("discard", "7") == (1, "0 discarded\n7 does not wait in quarantine\n")
    assert quantities(database) == [1000]
    database.dispose()


def test_what_says_an_event_and_usage_waits_once_and_comes_in_once(database: Database) -> None:
    counter = "metrics: [{name: pulses, unit: unit, kind: delta, decimals: 0}]\n"
    source = "{name: c, topic: 'c/{object}', metrics: [{path: n, metric: pulses}], events: [{path: state}]}"
    declare(database, f"{counter}sources: [{source}]")
    said = b'{"n": 5, "state": "online"}'
    assert take(database, ("c/A", said)) == {"unknown_object": 1}
    # The value cannot be taken, so the event of the same message waits with it.
    register(database, "B")
    assert take(database, ("c/B", b'{"n": "five", "state": "online"}')) == {"bad_number": 1}
    register(database, "A")
    assert Replayer(database, VirtualClock(NOON), Settings()).look() == 1
    assert quantities(database) == [5]
    with database.snapshot() as session:
        assert [it.kind for it in session.exec(select(ObjectEvent))] == ["online"]


def test_an_answer_to_no_command_that_is_replayed_takes_no_usage_again(database: Database) -> None:
    counter = "metrics: [{name: pulses, unit: unit, kind: delta, decimals: 0}]\n"
    answers = "{topic: 'up/{object}', request_id: asked, path: done, values: {'true': acknowledged}}"
    source = (
        "{name: c, topic: 'up/{object}', metrics: [{path: n, metric: pulses}], "
        f"commands: {{topic: 'down/{{object}}', body: {{id: '{{request_id}}'}}, acknowledge: {answers}}}}}"
    )
    declare(database, f"{counter}sources: [{source}]")
    register(database, "A")
    assert take(database, ("up/A", b'{"n": 5, "asked": "nobody", "done": true}')) == {"foreign_answer": 1}
    assert quantities(database) == [5]
    assert replay_all(database, Settings(), Which(reason="foreign_answer"), now=NOON).done == 0
    declare(database, f"{counter}sources: [{source.replace('asked', 'other')}]")
    replay_all(database, Settings(), Which(), now=NOON)
    assert quantities(database) == [5]
