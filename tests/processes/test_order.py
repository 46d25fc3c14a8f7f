"""What several processes write at once, in any order, is what one process writes in order."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from storage import usage
from storage.database import Database
from storage.tables import (
    ConnectedObject,
    MessageInbox,
    ObjectEvent,
    ObjectPresence,
    UsageRecord,
    UsageRollup,
)
from tests.brokers import ROOT
from tests.ingest.conftest import seed

OBJECTS = ("IOT_A", "IOT_B", "IOT_C")
MESSAGES = 420
DAY_MILLIS = 86_400_000
EPOCH_MILLIS = 1_650_000_000_000


def messages(*, numbered: Sequence[int]) -> list[str]:
    """Readings and reports of three objects over three days, several at one instant; each line a topic and a body."""
    lines = []
    for number in numbered:
        reference = OBJECTS[number % 3]
        at = EPOCH_MILLIS + (number // 6) * (3 * DAY_MILLIS // 70)
        if number % 7 == 0:
            body: dict[str, Any] = {"id": f"r{number}", "ts": at, "event": "online" if number % 2 else "offline"}
            lines.append(f"devices/{reference}/lifecycle {json.dumps(body)}")
        else:
            body = {"id": str(number), "ts": at, "metrics": {"usage": number % 11, "level": (number * 37) % 101}}
            lines.append(f"devices/{reference}/telemetry {json.dumps(body)}")
    return lines


def write_at_once(url: str, folder: Path, parts: Sequence[Sequence[str]], *, offset_seconds: int = 0) -> None:
    """Each part in a process of its own, all starting together."""
    writers = []
    for place, lines in enumerate(parts):
        source = folder / f"part-{place}"
        source.write_text("\n".join(lines))
        command = [sys.executable, "-m", "tests.processes.writer", url, str(source), str(place * offset_seconds)]
        pipe = subprocess.PIPE
        writers.append(subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True))
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        _, said = writer.communicate(timeout=60)
        assert writer.returncode == 0, said
        # A writer that runs into another must wait for it, not fall back to one message at a time.
        assert "one by one" not in said


def picture(database: Database) -> dict[str, Any]:
    """All that usage and reports left, without what depends on who came when."""
    with database.snapshot() as session:
        names = dict(session.exec(select(ConnectedObject.id, ConnectedObject.reference)).all())
        assert usage.rollup_differences(session) == []
        return {
            "records": sorted(
                (names[it.object_id], it.metric_id, it.occurred_at, it.discriminator, it.quantity)
                for it in session.exec(select(UsageRecord))
            ),
            "rollup": sorted(
                (names[it.object_id], *it.model_dump(exclude={"object_id", "batch"}).values())
                for it in session.exec(select(UsageRollup))
            ),
            "events": sorted(
                (names[it.object_id], it.kind, it.occurred_at, it.key) for it in session.exec(select(ObjectEvent))
            ),
            "presence": sorted(
                (names[it.object_id], it.online, it.online_since) for it in session.exec(select(ObjectPresence))
            ),
        }


@contextmanager
def fresh(url: str) -> Iterator[Database]:
    database = Database(url)
    database.migrate()
    seed(database, objects=OBJECTS)
    yield database
    database.dispose()


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    with fresh(postgres_url) as made:
        yield made


def test_messages_spread_over_two_processes_give_what_one_process_gives(
    sqlite_url: str, postgres_url: str, database: Database, tmp_path: Path
) -> None:
    in_order = messages(numbered=range(MESSAGES))
    shuffled = random.Random(1).sample(in_order, len(in_order))  # noqa: S311 - a seeded order
    # Each process has half of them, and a tenth comes to both, as after a reconnection.
    half, twice = len(shuffled) // 2, len(shuffled) // 10
    write_at_once(postgres_url, tmp_path, [shuffled[: half + twice], shuffled[half:]])
    with fresh(sqlite_url) as alone:
        write_at_once(sqlite_url, tmp_path, [in_order])
        assert picture(database) == picture(alone)


def test_an_id_without_a_time_that_comes_to_two_processes_at_once_gets_one_time(
    postgres_url: str, database: Database, tmp_path: Path
) -> None:
    lines = [
        f"devices/{OBJECTS[number % 3]}/telemetry " + json.dumps({"id": str(number), "metrics": {"usage": 1}})
        for number in range(MESSAGES)
    ]
    # The clocks of the two differ by an hour: without the inbox every message would be two records.
    write_at_once(postgres_url, tmp_path, [lines, lines], offset_seconds=3600)
    with database.snapshot() as session:
        records = session.exec(select(UsageRecord)).all()
        assert sorted(int(it.discriminator) for it in records) == list(range(MESSAGES))
        remembered = {(it.object_id, it.sender_id): it.occurred_at for it in session.exec(select(MessageInbox))}
        assert {(it.object_id, it.discriminator): it.occurred_at for it in records} == remembered
        assert usage.rollup_differences(session) == []
