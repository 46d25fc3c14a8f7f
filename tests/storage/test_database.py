import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlmodel import Session, select

from storage.database import Database
from storage.errors import DatabaseUnreachable, SchemaOutdated, StorageError
from storage.migrating import MIGRATIONS, configuration
from storage.migrations import SCHEMA
from storage.partitions import ensure_partitions
from storage.tables import Customer, IngestCounter, Metric, NumberSeries
from storage.types import from_micros, to_micros


def test_migrations_from_empty_equal_the_models(database: Database) -> None:
    with database.engine.connect() as connection:
        command.check(configuration(connection))


def test_the_schema_of_the_release_is_the_newest_migration() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [SCHEMA]


def test_migrating_again_changes_nothing(database: Database) -> None:
    database.migrate()
    database.require_schema()


def test_a_failed_block_leaves_nothing(database: Database) -> None:
    def fail_midway() -> None:
        with database.transaction() as session:
            session.add(NumberSeries(name="INV/2022/04", last_number=1))
            session.flush()
            raise RuntimeError("the power went")

    with pytest.raises(RuntimeError):
        fail_midway()
    with database.snapshot() as session:
        assert session.exec(select(NumberSeries)).all() == []


def test_a_snapshot_does_not_see_what_is_committed_meanwhile(database: Database) -> None:
    def last_batch(session: Session) -> int:
        return session.exec(select(IngestCounter.last_batch)).one()

    with database.snapshot() as session:
        assert last_batch(session) == 0
        with database.transaction() as other:
            other.exec(select(IngestCounter)).one().last_batch = 7
        assert last_batch(session) == 0
    with database.snapshot() as session:
        assert last_batch(session) == 7


def test_an_unmigrated_database_says_what_to_run(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    with pytest.raises(SchemaOutdated, match="metergate migrate"):
        database.require_schema()
    with pytest.raises(SchemaOutdated, match="metergate migrate"), database.snapshot() as session:
        session.exec(select(Metric)).all()
    database.dispose()


def test_a_database_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(StorageError, match="not usable"):
        Database("nonsense")
    with pytest.raises(DatabaseUnreachable, match="METERGATE_DATABASE_URL"):
        Database("postgresql://nobody@127.0.0.1:1/none").migrate()


def test_the_month_of_the_next_records_has_its_own_partition(database: Database) -> None:
    with database.transaction() as session:
        made = ensure_partitions(session, today=date(2022, 11, 30), months_ahead=2)
        again = ensure_partitions(session, today=date(2022, 11, 30), months_ahead=2)
    expected = [] if database.is_sqlite else ["usage_record_2022_11", "usage_record_2022_12", "usage_record_2023_01"]
    assert made == expected
    assert again == []


def test_instants_keep_every_microsecond() -> None:
    instant = datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    assert from_micros(to_micros(instant)) == instant
    with pytest.raises(ValueError, match="zone"):
        to_micros(datetime(2022, 4, 1))  # noqa: DTZ001 - the naive time is the case


def test_parties_come_back_as_they_were_written(database: Database) -> None:
    party = {"name": "Société Générale d'Objets", "address": {"city": "Orléans"}}
    with database.transaction() as session:
        session.add(Customer(reference="FLEET", party=party))
    with database.snapshot() as session:
        assert session.exec(select(Customer)).one().party == party
    assert str(Fraction(1, 3)) == "1/3"


def test_what_was_committed_moves_from_the_log_into_the_file(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'one.db'}")
    database.migrate()
    with database.transaction() as session:
        session.add(Metric(name="usage", unit="unit", kind="delta", decimals=6))
    database.checkpoint()
    shutil.copyfile(tmp_path / "one.db", tmp_path / "without_log.db")
    database.dispose()
    with closing(sqlite3.connect(tmp_path / "without_log.db")) as copied:
        assert copied.execute("SELECT name FROM metric").fetchall() == [("usage",)]


def test_a_connection_that_rested_while_the_server_closed_it_is_replaced(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, other = Database(postgres_url), Database(postgres_url)

    def close_the_others(session: Session) -> None:
        session.connection().exec_driver_sql(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    def use() -> None:
        with database.transaction() as session:
            session.exec(select(Metric)).all()

    monkeypatch.setattr("storage.database.RESTED_SECONDS", 60.0)
    use()
    with other.transaction() as session:
        close_the_others(session)
    with pytest.raises(DatabaseUnreachable):  # just used, so it is not asked
        use()
    use()
    monkeypatch.setattr("storage.database.RESTED_SECONDS", 0.0)
    with other.transaction() as session:
        close_the_others(session)
    use()
    database.dispose()
    other.dispose()
