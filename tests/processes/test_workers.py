"""Several ingest processes share what objects publish, on a real broker; none of it is lost or doubled."""

import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from storage import figures, members, usage
from storage.database import Database
from storage.tables import IngestMember
from tests.brokers import Broker, eventually
from tests.processes.conftest import PATIENCE_SECONDS, answer, environment, publish, ran, running, stored, stored_ids

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])


def at_work(database: Database) -> dict[str, int]:
    """The members that are at work, with their process ids."""
    with database.snapshot() as session:
        found = members.members(session, datetime.now(tz=UTC))
    return {member.client_id: member.pid for member in found if member.state == "at work"}


def silence(database: Database, client_id: str) -> None:
    """As if the member had been silent for a day."""
    with database.transaction() as session:
        row = session.get_one(IngestMember, client_id)
        row.heartbeat_at -= timedelta(days=1)


def test_workers_share_the_messages_and_one_that_is_killed_comes_back(
    broker: Broker, database: Database, database_url: str, tmp_path: Path
) -> None:
    env = environment(broker, database_url)
    with running(["--workers", "2"], env, tmp_path) as gateway:
        eventually(lambda: len(at_work(database)) == 2, "both are at work", seconds=PATIENCE_SECONDS)
        publish(broker, 0, 400)
        eventually(lambda: stored(database) == 400, "all are stored", seconds=PATIENCE_SECONDS)
        killed = at_work(database)["metergate-ingest-2"]
        os.kill(killed, signal.SIGKILL)
        publish(broker, 400, 400)
        eventually(lambda: stored(database) == 800, "those of the killed one too", seconds=PATIENCE_SECONDS)
        gateway.wait_for("ingest-2 ended with status -9")
        eventually(lambda: at_work(database)["metergate-ingest-2"] != killed, "it is back", seconds=PATIENCE_SECONDS)
        gateway.wait_for("[ingest-1] the gateway listens under devices/")
        assert gateway.stop() == 0
    assert stored_ids(database) == set(range(800))
    with database.snapshot() as session:
        assert usage.rollup_differences(session) == []
    rows = {row["client_id"]: row for row in answer(["sessions", "list"], env, tmp_path)}
    assert {row["state"] for row in rows.values()} == {"stopped"}
    assert all(row["messages"] > 0 for row in rows.values())


def test_a_worker_whose_database_hangs_stops_within_the_limit_and_what_it_held_comes_again(
    broker: Broker, database: Database, database_url: str, tmp_path: Path
) -> None:
    env = environment(broker, database_url, stop_seconds="2")
    with running(["--role", "ingest", "--workers", "1"], env, tmp_path) as gateway:
        eventually(lambda: at_work(database), "it is at work", seconds=PATIENCE_SECONDS)
        publish(broker, 0, 1)
        eventually(lambda: stored(database) == 1, "all is well", seconds=PATIENCE_SECONDS)
        (worker,) = at_work(database).values()
        with psycopg.connect(database_url) as connection:
            mine = "datname = current_database() AND pid <> pg_backend_pid()"
            rows = connection.execute(f"SELECT pid FROM pg_stat_activity WHERE {mine}".encode())
            backends = [row[0] for row in rows]
        for backend in backends:
            os.kill(backend, signal.SIGSTOP)
        try:
            publish(broker, 1, 1)
            assert gateway.stop() == 1
            gateway.wait_for("[ingest-1] metergate: not done within 2 s")
            assert not Path(f"/proc/{worker}").exists()
        finally:
            for backend in backends:
                os.kill(backend, signal.SIGCONT)
    with running(["--workers", "1"], env, tmp_path):
        eventually(lambda: stored(database) == 2, "it comes again", seconds=PATIENCE_SECONDS)
    assert stored_ids(database) == {0, 1}


@on_sqlite
def test_workers_end_with_a_supervisor_that_is_killed(
    broker: Broker, database: Database, database_url: str, tmp_path: Path
) -> None:
    with running(["--workers", "1"], environment(broker, database_url), tmp_path) as gateway:
        eventually(lambda: at_work(database), "it is at work", seconds=PATIENCE_SECONDS)
        gateway.stop(signal.SIGKILL)
        eventually(lambda: not at_work(database), "the orphan has stopped", seconds=PATIENCE_SECONDS)


@pytest.mark.parametrize("database_kind, receiver", [("sqlite", "native"), ("postgresql", "paho")])
def test_what_a_dead_member_would_get_waits_is_reported_and_is_drained(
    broker: Broker, database: Database, database_url: str, receiver: str, tmp_path: Path
) -> None:
    env = environment(broker, database_url, receiver=receiver)
    with running(["--role", "ingest", "--member", "2"], env, tmp_path) as second:
        second.wait_for("listens under")
        second.stop(signal.SIGKILL)
    with running(["--role", "ingest"], env, tmp_path) as first:
        first.wait_for("listens under")
        publish(broker, 0, 200)
        eventually(lambda: stored(database) == 100, "the living one has half of them", seconds=PATIENCE_SECONDS)
        silence(database, "metergate-ingest-2")
        report = {row["check"]: row for row in answer(["doctor"], env, tmp_path, status=1)}
        assert report["ingest member metergate-ingest-1"]["state"] == "ok"
        assert "dead since" in report["ingest member metergate-ingest-2"]["detail"]
        with database.snapshot() as session:
            told = figures.read(session, datetime.now(tz=UTC))
        assert told.dead == {("metergate-ingest-1",): False, ("metergate-ingest-2",): True}
        refused = ran(["sessions", "drain", "metergate-ingest-1"], env, tmp_path, status=1)
        assert refused.stderr == "metergate: metergate-ingest-1 is at work; stop it first\n"
        drained = answer(["sessions", "drain", "metergate-ingest-2", "--quiet-seconds", "1"], env, tmp_path)
        assert drained == {"client_id": "metergate-ingest-2", "stored": 100}
        publish(broker, 200, 100)
        eventually(lambda: stored(database) == 300, "the other one gets all from then on", seconds=PATIENCE_SECONDS)
        assert [row["client_id"] for row in answer(["sessions", "list"], env, tmp_path)] == ["metergate-ingest-1"]
    assert stored_ids(database) == set(range(300))


@on_sqlite
def test_from_one_process_to_workers_nothing_is_lost_and_the_old_session_collects_no_more(
    broker: Broker, database: Database, database_url: str, tmp_path: Path
) -> None:
    env = environment(broker, database_url)
    with running([], env, tmp_path) as alone:
        alone.wait_for("listens under")
        assert alone.stop() == 0
    publish(broker, 0, 100)
    with running(["--workers", "1"], env, tmp_path) as gateway:
        gateway.wait_for("usage is taken by the ingest members from now on")
        eventually(lambda: stored(database) == 100, "what waited for the one", seconds=PATIENCE_SECONDS)
        assert gateway.stop() == 0
    publish(broker, 100, 100)
    with running(["--role", "control"], env, tmp_path) as control:
        control.wait_for("obeys under control/")
        control.wait_for("metergate-ingest-1 is stopped since")
        assert stored(database) == 100
    with running(["--workers", "1"], env, tmp_path):
        eventually(lambda: stored(database) == 200, "what waited for the member", seconds=PATIENCE_SECONDS)
    assert stored_ids(database) == set(range(200))
