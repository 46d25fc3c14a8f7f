"""The migration that gives contract items their lines keeps every item, its schedules and its suspensions."""

from alembic import command
from sqlalchemy import text

from storage.database import Database
from storage.migrating import configuration, upgrade

ROWS = """
INSERT INTO customer (id, reference, party) VALUES (1, 'FLEET', '{}');
INSERT INTO contract (id, name, customer_id, currency, timezone, starts_on, grouping, payment_terms_days, revision)
 VALUES (1, 'C', 1, 'EUR', 'Europe/Paris', '2022-01-01', '[]', 30, 0);
INSERT INTO plan (id, name) VALUES (1, 'P');
INSERT INTO plan_version (id, plan_id, version, definition, created_at) VALUES (1, 1, 1, '{}', 0);
INSERT INTO subscription (id, contract_id, plan_version_id, name) VALUES (1, 1, 1, 'P');
INSERT INTO connected_object (id, reference, kind, status, attributes, created_at)
 VALUES (1, 'IOT_1', '', 'active', '{}', 0);
INSERT INTO contract_item (id, name, contract_id, subscription_id, object_id, plan_version_id, status, term_months,
 starts_on, ends_on, start_at, end_at) VALUES (7, 'IOT_1', 1, 1, 1, 1, 'running', 12, '2022-04-01', '2023-04-01', 1, 2);
INSERT INTO suspension (id, contract_item_id, starts_on) VALUES (1, 7, '2022-05-01')
"""


def test_items_of_an_earlier_release_are_kept(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    with database.engine.connect() as connection:
        upgrade(connection, "0005")
        for statement in ROWS.split(";\n"):
            connection.execute(text(statement.replace(":", "\\:")))
        connection.commit()

    database.migrate()

    with database.snapshot() as session:
        row = (
            session.connection().execute(text("SELECT id, name, status, renewal, follows_id FROM contract_item")).one()
        )
        assert tuple(row) == (7, "IOT_1", "running", "none", None)
        assert session.connection().execute(text("SELECT contract_item_id FROM suspension")).scalars().all() == [7]
    with database.engine.connect() as connection:
        command.check(configuration(connection))
    database.dispose()
