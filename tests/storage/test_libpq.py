"""One prepared statement through libpq: what it leaves of a transaction, of a statement and of a connection."""

import select
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from storage import libpq
from storage.database import Database
from storage.libpq import ask

ADD = "WITH a AS (INSERT INTO kept VALUES (%s::int) RETURNING n) SELECT n, NULL::text FROM a"


@pytest.fixture
def server(postgres_server: str) -> Iterator[Database]:
    database = Database(f"{postgres_server}/postgres")
    with database.transaction() as session:
        session.connection().exec_driver_sql("DROP TABLE IF EXISTS kept")
        session.connection().exec_driver_sql("CREATE TABLE kept (n int PRIMARY KEY)")
    yield database
    database.dispose()


def kept(database: Database) -> list[int]:
    with database.snapshot() as session:
        return list(session.connection().exec_driver_sql("SELECT n FROM kept ORDER BY 1").scalars())


def add(connection: Connection, number: int) -> None:
    assert ask(connection, ADD, [number]) == [str(number), ""]


def test_it_begins_what_the_session_commits(server: Database) -> None:
    with server.transaction() as session:
        add(session.connection(), 1)
        assert kept(server) == []
    assert kept(server) == [1]


def test_it_is_undone_with_the_session(server: Database) -> None:
    with server.transaction() as session:
        add(session.connection(), 1)
        session.rollback()
    assert kept(server) == []


@pytest.mark.parametrize("before", [[], [1]])
def test_of_what_fails_nothing_is_left_and_the_transaction_goes_on(server: Database, before: list[int]) -> None:
    with server.transaction() as session:
        session.connection().exec_driver_sql("INSERT INTO kept VALUES (7)")
    with server.transaction() as session:
        connection = session.connection()
        for number in before:
            connection.exec_driver_sql(f"INSERT INTO kept VALUES ({number})")
        with pytest.raises(IntegrityError):
            add(connection, 7)
        add(connection, 2)
    assert kept(server) == [*before, 2, 7]


def test_a_statement_that_is_there_already_is_taken_as_it_is(server: Database) -> None:
    with server.transaction() as session:
        connection = session.connection()
        assert ask(connection, "SELECT %s::text", ["a"]) == ["a"]
        connection.info[libpq.PREPARED].clear()
        assert ask(connection, "SELECT %s::text", ["b"]) == ["b"]


def test_a_statement_that_fails_again_and_again_is_prepared_once(server: Database) -> None:
    with server.transaction() as session:
        session.connection().exec_driver_sql("INSERT INTO kept VALUES (7)")
    with server.transaction() as session:
        connection = session.connection()
        for _ in range(3):
            with pytest.raises(IntegrityError):
                add(connection, 7)
        there = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'metergate%%'"
        assert connection.exec_driver_sql(there).scalar_one() == 1


def test_a_transaction_that_has_failed_stays_failed(server: Database) -> None:
    """Its own savepoint was not set: to go back to an older one would undo what was there before."""
    with server.transaction() as session:
        connection = session.connection()
        connection.exec_driver_sql("INSERT INTO kept VALUES (1)")
        add(connection, 2)
        with pytest.raises(DBAPIError, match="nothing_like_it"):
            connection.exec_driver_sql("SELECT nothing_like_it")
        for _ in range(2):
            with pytest.raises(DBAPIError, match="aborted"):
                add(connection, 3)
        session.rollback()
    assert kept(server) == []


def test_who_is_interrupted_while_it_waits_says_so_and_the_next_connection_works(
    server: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted:
        def register(self, *_: int) -> None:
            raise KeyboardInterrupt

    def interrupted() -> None:
        with monkeypatch.context() as patch, server.transaction() as session:
            connection = session.connection()
            patch.setattr(select, "poll", Interrupted)
            add(connection, 1)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with server.transaction() as session:
        add(session.connection(), 2)
    assert kept(server) == [2]


def test_words_that_the_server_cannot_keep_are_refused_and_the_transaction_goes_on(server: Database) -> None:
    with server.transaction() as session:
        connection = session.connection()
        with pytest.raises(UnicodeEncodeError):
            ask(connection, "SELECT %s::text", ["\ud800"])
        with pytest.raises(DBAPIError, match="0x00"):
            ask(connection, "SELECT %s::text", ["a\0b"])
        add(connection, 1)
    assert kept(server) == [1]


def test_a_statement_that_the_server_does_not_understand_is_an_error_each_time(server: Database) -> None:
    with server.transaction() as session:
        for _ in range(2):
            with pytest.raises(DBAPIError, match="nothing_like_it"):
                ask(session.connection(), "SELECT nothing_like_it FROM kept", [])


@pytest.mark.parametrize("before", [[], [5]])
def test_what_was_prepared_and_is_forgotten_is_prepared_again(server: Database, before: list[int]) -> None:
    other = "SELECT %s::text"
    with server.transaction() as session:
        add(session.connection(), 1)
        assert ask(session.connection(), other, ["a"]) == ["a"]
    with server.transaction() as session:
        session.connection().exec_driver_sql("DEALLOCATE ALL")
    with server.transaction() as session:
        connection = session.connection()
        for number in before:
            connection.exec_driver_sql(f"INSERT INTO kept VALUES ({number})")
        # What is prepared in between is not forgotten, and takes no name that is still in use.
        for _ in range(2):
            assert ask(connection, "SELECT %s::text || 'c'", ["b"]) == ["bc"]
            assert ask(connection, other, ["d"]) == ["d"]
        add(connection, 2)
    assert kept(server) == [1, 2, *before]


@pytest.mark.parametrize("value", ["x" * 20_000_000, "ä\n'%s", ""])
def test_a_value_arrives_and_comes_back_as_it_is(server: Database, value: str) -> None:
    """The longest is more than the buffers between the two hold: who only writes would wait for ever."""
    with server.transaction() as session:
        assert ask(session.connection(), "SELECT %s::text, %s::int, %s::text", [value, -5, None]) == [value, "-5", ""]


def test_a_server_that_goes_away_is_an_operational_error_and_the_next_connection_works(server: Database) -> None:
    with server.transaction() as session:
        identity = session.connection().exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    other = Database(server.engine.url.render_as_string(hide_password=False))
    with server.engine.connect() as connection:
        with other.transaction() as session:
            session.connection().exec_driver_sql(f"SELECT pg_terminate_backend({identity}, 5000)")
        with pytest.raises(OperationalError):
            add(connection, 1)
    other.dispose()
    server.dispose()
    with server.transaction() as session:
        add(session.connection(), 2)
    assert kept(server) == [2]
