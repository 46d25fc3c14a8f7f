"""A migrated database, on SQLite and on PostgreSQL, with one object and three metrics."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlmodel import select

from config.settings import Settings
from gateway.message import Message, Rules
from storage.database import Database
from storage.tables import ConnectedObject, Metric, UsageRecord

NOON = datetime(2022, 4, 14, 12, tzinfo=UTC)
REFERENCE = "IOT_NS542"


def seed(database: Database, *, objects: tuple[str, ...] = (REFERENCE,)) -> None:
    """Metrics and objects that the tests speak of."""
    with database.transaction() as session:
        for name, kind in (("usage", "delta"), ("energy", "cumulative"), ("level", "gauge")):
            session.add(Metric(name=name, unit="unit", kind=kind, decimals=6))
        for reference in objects:
            session.add(ConnectedObject(reference=reference, status="active", created_at=NOON))


def stored(database: Database) -> list[UsageRecord]:
    with database.snapshot() as session:
        return list(session.exec(select(UsageRecord)))


@pytest.fixture
def database(database: Database) -> Database:
    seed(database)
    return database


@pytest.fixture
def rules() -> Rules:
    return Rules.of(Settings())


@pytest.fixture
def message() -> Callable[..., Message]:
    def make(
        body: Any, *, reference: str = REFERENCE, leaf: str = "telemetry", at: datetime = NOON, retained: bool = False
    ) -> Message:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Message(topic=f"devices/{reference}/{leaf}", payload=payload, received_at=at, retained=retained)

    return make
