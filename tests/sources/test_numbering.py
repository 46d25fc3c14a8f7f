"""Messages that carry numbers: what jumps is missing, what comes late fills it, registers need nothing."""

import json
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from billing.silences import look
from gateway.ingest import ingest_batch
from gateway.message import Message
from gateway.sources.numbering import Followed, Numbered, State, follow, without
from storage import gaps
from storage.database import Database
from tests.closing.fleet import Fleet
from tests.sources.declaring import refusals
from tests.sources.test_from_topic_to_usage import NOON, declare, rules

SOURCE = """
sources:
  - name: radio
    topic: up/{object}
    time: {path: at}
    values: {path: values}
    sequence: {path: n}
"""
MINUTE = timedelta(minutes=1)
IDENTITY = "IOT_1"


def said(number: int, at: int = 10, wraps_at: int | None = None) -> Numbered:
    return Numbered(IDENTITY, "radio", number, wraps_at, at)


@pytest.mark.parametrize(
    "state, now, found",
    [
        (None, said(7), Followed(State(7, 10))),
        (State(7, 9), said(8), Followed(State(8, 10))),
        (State(7, 9), said(11), Followed(State(11, 10), missing=(8, 10))),
        (State(7, 9), said(7), Followed(State(7, 9), late=True)),
        (State(7, 10), said(3, at=9), Followed(State(7, 10), late=True)),
        (State(7, 9), said(0), Followed(State(0, 10))),
        (State(254, 9), said(1, wraps_at=256), Followed(State(1, 10), missing=(255, 256))),
        (State(255, 9), said(0, wraps_at=256), Followed(State(0, 10))),
        (State(1, 9), said(254, wraps_at=256), Followed(State(1, 9), late=True)),
    ],
)
def test_a_number_is_next_ahead_late_or_of_an_object_that_began_again(
    state: State | None, now: Numbered, found: Followed
) -> None:
    assert follow(state, now) == found


def test_a_number_that_came_leaves_the_others_missing() -> None:
    assert without([[8, 10]], 9, None) == [[8, 8], [10, 10]]
    assert without([[8, 8]], 8, None) == []
    assert without([[255, 256]], 0, 256) == [[255, 255]], "after 255 comes 0"
    assert without([[8, 10]], 11, None) == [[8, 10]]


def fleet_of(database: Database, kind: str = "delta") -> Fleet:
    fleet = Fleet(database, kind=kind)
    fleet.activate(IDENTITY)
    declare(database, SOURCE)
    return fleet


def up(number: int, at: datetime, **values: Any) -> tuple[str, bytes]:
    body = {"n": number, "at": at.isoformat(), "values": values}
    return f"up/{IDENTITY}", json.dumps(body).encode()


def take(database: Database, *messages: tuple[str, bytes]) -> None:
    batch = [Message(topic=topic, payload=payload, received_at=NOON) for topic, payload in messages]
    assert not ingest_batch(database, batch, rules(database), now=NOON).refused


def known(database: Database) -> list[tuple[str, int | None, list[list[int]], str | None]]:
    with database.snapshot() as session:
        found = gaps.listed(session)
        return [(each.object_reference, each.gap.lost, each.gap.missing, each.gap.cleared_by) for each in found]


def test_numbers_that_jump_are_a_gap_until_they_come(database: Database) -> None:
    fleet = fleet_of(database)
    take(database, up(1, NOON, usage=1), up(2, NOON + MINUTE), up(6, NOON + 5 * MINUTE, usage=1))
    assert known(database) == [(IDENTITY, 3, [[3, 5]], None)], "a message without values is a message all the same"
    assert [it.reason for it in fleet.close(date(2022, 4, 30), dry_run=True).incomplete] == ["sequence"]
    take(database, up(4, NOON + 3 * MINUTE, usage=1))
    take(database, up(4, NOON + 3 * MINUTE, usage=1))
    assert known(database) == [(IDENTITY, 2, [[3, 3], [5, 5]], None)]
    take(database, up(7, NOON + 6 * MINUTE, usage=1), up(5, NOON + 4 * MINUTE, usage=1), up(3, NOON + 2 * MINUTE))
    assert known(database) == [(IDENTITY, 0, [], "arrived")]


def test_what_comes_in_another_order_in_one_batch_is_no_loss(database: Database) -> None:
    fleet_of(database)
    take(database, up(1, NOON, usage=1), up(3, NOON + 2 * MINUTE, usage=1), up(2, NOON + MINUTE, usage=1))
    assert [(lost, cleared) for _, lost, _, cleared in known(database)] == [(0, "arrived")]


def test_a_register_with_a_reading_since_clears_the_gap(database: Database) -> None:
    fleet = fleet_of(database, kind="cumulative")
    take(database, up(1, NOON, usage=1), up(5, NOON + 5 * MINUTE))
    with database.transaction() as session:
        look(session, NOON)
    assert [cleared for *_, cleared in known(database)] == [None], "no reading has come yet"
    take(database, up(6, NOON + 6 * MINUTE, usage=9))
    assert fleet.close(date(2022, 4, 30), dry_run=True).incomplete == ()
    with database.transaction() as session:
        assert look(session, NOON).cleared == 1
    assert [cleared for *_, cleared in known(database)] == ["register"]


def test_a_sequence_is_a_path_and_at_most_where_it_wraps() -> None:
    assert refusals(SOURCE.replace("{path: n}", "{path: n, wraps_at: 65536}")) == []
    assert refusals(SOURCE.replace("{path: n}", "{path: n, wraps_at: 0}")) != []
