"""A batch as one statement leaves what the batch in steps leaves."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from sqlmodel import Session

from storage import at_once, batches, usage
from storage.database import Database
from storage.errors import IntakeChanged
from storage.tables import ConnectedObject, Metric
from storage.types import DAY_MICROS
from tests.ingest.conftest import NOON

TABLES = {
    "usage_record": "occurred_at, object_id, metric_id, discriminator, quantity, received_at, origin, unkeyed, batch",
    "usage_rollup": "day, object_id, metric_id, record_count, quantity_sum, quantity_max, quantity_min, first_at, "
    "first_quantity, last_at, last_quantity, batch",
    "usage_day": "day, batch",
}
JUNE = 1_654_041_600_000_000
TIMES = st.integers(JUNE, JUNE + 3 * DAY_MICROS) | st.sampled_from([JUNE, JUNE + DAY_MICROS - 1, JUNE + DAY_MICROS])
ROWS = st.tuples(
    TIMES,
    st.integers(1, 2),
    st.integers(1, 2),
    st.sampled_from(["", "a", "ß"]),
    st.integers(-(10**12), 10**12),
    st.sampled_from([JUNE, JUNE + 1]),
    st.sampled_from(["mqtt", "api"]),
    st.booleans(),
)


@pytest.fixture
def fleet(postgres_url: str) -> Iterator[Database]:
    """Two objects and two metrics; each example is undone."""
    database = Database(postgres_url)
    with database.transaction() as session:
        for name in ("one", "two"):
            session.add(Metric(name=name, unit="unit", kind="delta", decimals=6))
            session.add(ConnectedObject(reference=name, status="active", created_at=NOON))
    yield database
    database.dispose()


def found(session: Session) -> list[list[tuple[Any, ...]]]:
    connection = session.connection()
    return [
        sorted(tuple(row) for row in connection.exec_driver_sql(f"SELECT {columns} FROM {table}"))
        for table, columns in TABLES.items()
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.lists(ROWS, max_size=4), rows=st.lists(ROWS, min_size=1, max_size=12))
@example(before=[], rows=[(JUNE, 1, 1, "", 5, JUNE, "mqtt", False)])
@example(before=[], rows=[(JUNE + n, 1, 1, "", n, JUNE, "mqtt", False) for n in range(3)])
def test_it_leaves_what_the_batch_in_steps_leaves(
    fleet: Database, before: Sequence[batches.Row], rows: Sequence[batches.Row]
) -> None:
    left = []
    for at_once_is in (False, True):
        with fleet.transaction() as session:
            connection = session.connection()
            connection.info[at_once.REPEATS] = 10
            usage.record(session, before)
            connection.info[at_once.REPEATS] = 0 if at_once_is else 10
            recorded = usage.record(session, rows)
            left.append((found(session), recorded))
            assert usage.rollup_differences(session) == []
            session.rollback()
    assert left[0] == left[1]


def test_new_facts_go_at_once_and_taken_keys_in_steps_for_a_while(
    fleet: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    in_steps = batches.write

    def noted(connection: Connection, facts: Sequence[batches.Row], *others: Any) -> batches.Written:
        steps.append(len(facts))
        return in_steps(connection, facts, *others)

    monkeypatch.setattr(batches, "write", noted)
    row = (JUNE, 1, 1, "", 5, JUNE, "mqtt", False)
    with fleet.transaction() as session:
        session.connection().info[at_once.REPEATS] = 0
        assert usage.record(session, [row]).inserted == 1
        assert steps == []
        again = usage.record(session, [row, (JUNE + 1, *row[1:])])
        assert (again.inserted, again.duplicates, steps) == (1, 1, [2])
        for number in range(at_once.REPEATS_BATCHES):
            usage.record(session, [(JUNE + 10 + number, *row[1:])])
        assert len(steps) == 1 + at_once.REPEATS_BATCHES
        usage.record(session, [(JUNE + 100, *row[1:])])
        assert len(steps) == 1 + at_once.REPEATS_BATCHES
        session.rollback()


@pytest.mark.parametrize("facts", [1, 2])
def test_nothing_is_written_where_another_intake_stands(fleet: Database, facts: int) -> None:
    rows = [(JUNE + place, 1, 1, "", 5, JUNE, "mqtt", False) for place in range(facts)]
    with fleet.transaction() as session:
        session.connection().info[at_once.REPEATS] = 0
        with pytest.raises(IntakeChanged):
            at_once.write(session.connection(), rows, {}, "another")
        assert found(session) == [[], [], []]
        session.rollback()
