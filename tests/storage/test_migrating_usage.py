"""The migration that gives usage its properties reaches every part of the table, the detached months too."""

from datetime import UTC, date, datetime

from alembic import command
from sqlalchemy import text

from storage import partitions
from storage.database import Database
from storage.migrating import configuration, upgrade
from storage.properties import property_set_ids
from storage.types import to_micros
from storage.usage import Fact, record

BEFORE = "0011"
MONTHS = (date(2022, 3, 1), date(2022, 4, 1), date(2022, 5, 1))
NOW = datetime(2023, 1, 1, tzinfo=UTC)
INSERT = (
    "INSERT INTO usage_record (occurred_at, object_id, metric_id, discriminator, quantity, received_at, batch, origin, "
    "unkeyed) VALUES (:at, 1, 1, '', 5, 0, 0, 'mqtt', 0)"
)


def test_months_of_an_earlier_release_take_properties_and_come_back(empty_postgres_url: str) -> None:
    """March is attached, April was detached, May is still in the default partition."""
    march, april, may = MONTHS
    database = Database(empty_postgres_url)
    with database.engine.connect() as connection:
        upgrade(connection, BEFORE)
    with database.transaction() as session:
        for month in MONTHS:
            session.connection().execute(text(INSERT), {"at": partitions.bounds(month)[0] + 7})
    with database.transaction() as session:
        partitions.split(session, march)
        partitions.split(session, april)
        partitions.detach(session, april, NOW)

    database.migrate()

    with database.transaction() as session:
        assert partitions.attach(session, april)
        partitions.split(session, may)
        (set_id,) = property_set_ids(session, ['{"zone":"night"}'], {}).values()
        for month in MONTHS:
            at = partitions.bounds(month)[0] + 8
            fact = Fact(at, 1, 1, "", 5, to_micros(NOW), "mqtt")
            assert record(session, [fact], {0: set_id}).inserted == 1
    with database.snapshot() as session:
        found = session.connection().execute(text("SELECT property_set_id FROM usage_record ORDER BY occurred_at"))
        assert found.scalars().all() == [None, set_id] * len(MONTHS)
    with database.engine.connect() as connection:
        command.check(configuration(connection))
    database.dispose()


def test_a_month_that_was_dumped_by_an_earlier_release_comes_back(empty_postgres_url: str) -> None:
    database = Database(empty_postgres_url)
    database.migrate()
    april, table = MONTHS[1], partitions.name_of(MONTHS[1])
    with database.transaction() as session:
        session.connection().execute(text(INSERT), {"at": partitions.bounds(april)[0] + 7})
    with database.transaction() as session:
        partitions.split(session, april)
        partitions.detach(session, april, NOW)
        session.connection().exec_driver_sql(f"ALTER TABLE {table} DROP COLUMN property_set_id")
    with database.transaction() as session:
        assert partitions.attach(session, april)
    with database.snapshot() as session:
        assert session.connection().exec_driver_sql("SELECT property_set_id FROM usage_record").scalars().all() == [
            None
        ]
    database.dispose()


def test_usage_of_an_earlier_release_says_nothing_beside_its_value(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    with database.engine.connect() as connection:
        upgrade(connection, BEFORE)
        connection.execute(text(INSERT), {"at": 7})
        connection.commit()
    database.migrate()
    with database.transaction() as session:
        same = Fact(7, 1, 1, "", 5, 0, "mqtt")
        assert record(session, [same]).duplicates == 1
        (set_id,) = property_set_ids(session, ['{"zone":"night"}'], {}).values()
        assert [stands for _, stands in record(session, [same], {0: set_id}).conflicts] == [5]
    database.dispose()
