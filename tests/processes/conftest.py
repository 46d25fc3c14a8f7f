"""A real Mosquitto with a bridge that speaks for every object, a seeded database, and `metergate` as a process."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func
from sqlmodel import select

from gateway.supervisor import metergate
from storage.database import Database
from storage.tables import UsageRecord
from tests import brokers
from tests.brokers import Broker, Peer, eventually
from tests.conftest import missing
from tests.ingest.conftest import seed

BRIDGE = "bridge"
FLEET = tuple(f"IOT_{number:02d}" for number in range(20))
PATIENCE_SECONDS = 30.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    if brokers.binaries() is None:
        missing("Mosquitto", brokers.FIX)
    folder = tmp_path / "broker"
    folder.mkdir()
    with brokers.mosquitto(folder, bridge=BRIDGE) as running:
        yield running


@pytest.fixture
def database_kind() -> str:
    """Where several processes write at once, unless a test says otherwise."""
    return "postgresql"


@pytest.fixture
def database_url(request: pytest.FixtureRequest, database_kind: str) -> str:
    url: str = request.getfixturevalue("sqlite_url" if database_kind == "sqlite" else "postgres_url")
    return url


@pytest.fixture
def database(database: Database) -> Database:
    seed(database, objects=FLEET)
    return database


def environment(broker: Broker, url: str, **settings: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("METERGATE_")}
    more = {f"METERGATE_{name.upper()}": value for name, value in settings.items()}
    own = {"METERGATE_DATABASE_URL": url, "METERGATE_BROKER_URL": broker.url(), "METERGATE_HTTP_LISTEN": ""}
    return kept | own | more


@dataclass
class Running:
    """A `metergate run` and what it has said so far."""

    process: "subprocess.Popen[str]"
    lines: list[str] = field(default_factory=list)

    def said(self, words: str) -> bool:
        return any(words in line for line in self.lines)

    def wait_for(self, words: str) -> None:
        eventually(lambda: self.said(words), f"{words!r} in {self.lines}", seconds=PATIENCE_SECONDS)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)


@contextmanager
def running(arguments: Sequence[str], env: dict[str, str], folder: Path) -> Iterator[Running]:
    """`metergate run ARGUMENTS` in a process of its own; killed at the end if it is still there."""
    process = subprocess.Popen(
        metergate("run", *arguments),
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    it = Running(process)
    assert process.stdout is not None
    reader = threading.Thread(target=lambda: it.lines.extend(process.stdout or ()), daemon=True)
    reader.start()
    try:
        yield it
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()
            reader.join(PATIENCE_SECONDS)
            process.stdout.close()


def answer(arguments: Sequence[str], env: dict[str, str], folder: Path, *, status: int = 0) -> Any:
    """What `metergate ARGUMENTS --json` prints."""
    return json.loads(ran([*arguments, "--json"], env, folder, status=status).stdout)


def ran(
    arguments: Sequence[str], env: dict[str, str], folder: Path, *, status: int = 0
) -> "subprocess.CompletedProcess[str]":
    """`metergate ARGUMENTS`, which ends with that status."""
    process = subprocess.run(
        metergate(*arguments), cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert process.returncode == status, process.stdout + process.stderr
    return process


def publish(broker: Broker, first: int, count: int) -> None:
    """Messages number `first` and so on, spread over the fleet, each acknowledged by the broker."""
    with Peer(broker, BRIDGE) as bridge:
        for number in range(first, first + count):
            body = json.dumps({"id": str(number), "ts": 1_650_000_000_000 + number, "metrics": {"usage": 1}})
            bridge.post(f"devices/{FLEET[number % len(FLEET)]}/telemetry", body)
        eventually(lambda: bridge.flushed(count), "all are published")


def stored_ids(database: Database) -> set[int]:
    with database.snapshot() as session:
        return {int(identity) for identity in session.exec(select(UsageRecord.discriminator))}


def stored(database: Database) -> int:
    with database.snapshot() as session:
        return session.exec(select(func.count()).select_from(UsageRecord)).one()
