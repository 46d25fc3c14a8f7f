"""Columns that travel to PostgreSQL in binary arrive as they were."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.arrays import ARRAYS
from storage.bulk import write_columns
from storage.database import Database

BIGINTS = st.integers(-(2**63), 2**63 - 1)
INTS = st.none() | st.integers(-(2**31), 2**31 - 1)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
TYPES = ("bigint", "int", "text")


@pytest.fixture(scope="module")
def server(postgres_server: str) -> Iterator[Database]:
    database = Database(f"{postgres_server}/postgres")
    yield database
    database.dispose()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(BIGINTS, INTS, TEXTS), min_size=1))
def test_what_arrives_is_what_was_sent(server: Database, rows: Sequence[tuple[int, int | None, str]]) -> None:
    with server.transaction() as session:
        connection = session.connection()
        connection.exec_driver_sql("CREATE TEMPORARY TABLE arrived (big bigint, small int, word text) ON COMMIT DROP")
        written = write_columns(connection, "INSERT INTO arrived SELECT * FROM {rows}", TYPES, rows)
        assert written == len(rows)
        found = connection.exec_driver_sql("SELECT big, small, word FROM arrived").all()
    assert sorted(found, key=repr) == sorted(rows, key=repr)


def test_flags_are_numbers_too(server: Database) -> None:
    with server.transaction() as session:
        connection = session.connection()
        connection.exec_driver_sql("CREATE TEMPORARY TABLE flags (small int) ON COMMIT DROP")
        write_columns(connection, "INSERT INTO flags SELECT * FROM {rows}", ("int",), [(True,), (False,)])
        assert connection.exec_driver_sql("SELECT small FROM flags ORDER BY 1").scalars().all() == [0, 1]


@pytest.mark.parametrize("kind,value", [("bigint", 2**63), ("int", -(2**31) - 1)])
def test_a_number_that_has_no_room_is_refused_as_the_other_driver_does(kind: str, value: int) -> None:
    with pytest.raises(OverflowError, match="more than"):
        ARRAYS[kind]([0, value])
