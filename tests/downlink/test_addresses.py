"""Through which topic each object is heard is kept, whoever else is in its batch and however late it is registered."""

import json

from config.settings import Settings
from gateway.ingest import ingest_batch
from gateway.message import Message, Rules
from gateway.sources.stored import load
from storage import downlink, usage
from storage.database import Database
from tests.downlink.test_over_sources import NOON, declare, register

SOURCE = """
sources:
  - name: hub
    messages: [{topic: 'site/{object}/up', time: {path: ts}, metrics: [{path: energy, metric: energy}]}]
    commands: {topic: 'site/{object}/down'}
"""


def rules(database: Database) -> Rules:
    with database.snapshot() as session:
        return Rules.of(Settings(), load(session))


def said(reference: str, second: int) -> Message:
    body = {"ts": f"2022-04-14T12:00:{second:02}Z", "energy": second}
    return Message(topic=f"site/{reference}/up", payload=json.dumps(body).encode(), received_at=NOON)


def addressed(database: Database) -> list[str]:
    with database.snapshot() as session:
        ids = usage.object_ids(session, ["A", "B", "STRANGER"])
        return sorted(captures["object"] for _, captures in downlink.addresses(session, ids.values()).values())


def test_a_stranger_in_the_batch_hides_no_other_object(sqlite_database: Database) -> None:
    declare(sqlite_database, SOURCE)
    register(sqlite_database, "A", "B")
    with sqlite_database.snapshot() as session:
        sqlite_database.known.learn(usage.object_ids(session, ["A", "B"]), {})
    batch = [said("A", 1), said("B", 2), said("STRANGER", 3)]
    assert ingest_batch(sqlite_database, batch, rules(sqlite_database), now=NOON).refused == {"unknown_object": 1}
    assert addressed(sqlite_database) == ["A", "B"]


def test_an_object_that_is_registered_after_its_first_message_is_addressed_at_its_next(
    sqlite_database: Database,
) -> None:
    declare(sqlite_database, SOURCE)
    in_force = rules(sqlite_database)
    assert ingest_batch(sqlite_database, [said("STRANGER", 1)], in_force, now=NOON).refused == {"unknown_object": 1}
    register(sqlite_database, "STRANGER")
    for second in (2, 3):
        assert not ingest_batch(sqlite_database, [said("STRANGER", second)], in_force, now=NOON).refused
        assert addressed(sqlite_database) == ["STRANGER"]
    assert in_force.sources.addressed == {}
