"""The migration that gives documents a purpose keeps every invoice with its lines, VAT and payments."""

from alembic import command
from sqlalchemy import text

from storage.database import Database
from storage.migrating import configuration, upgrade

ROWS = """
INSERT INTO customer (id, reference, party) VALUES (1, 'FLEET', '{}');
INSERT INTO contract (id, name, customer_id, currency, timezone, starts_on, grouping, payment_terms_days, revision)
 VALUES (1, 'C', 1, 'EUR', 'Europe/Paris', '2022-01-01', '[]', 30, 0);
INSERT INTO invoice (id, number, kind, status, contract_id, customer_id, month_starts_on, month_ends_on, issued_on,
 due_on, currency, minor_digits, net_minor, vat_minor, gross_minor, seller, buyer, corrects, issued_at)
 VALUES (7, 'INV/2022/04/0001', 'invoice', 'issued', 1, 1, '2022-04-01', '2022-05-01', '2022-04-30',
 '2022-05-30', 'EUR', 2, 100, 20, 120, '{}', '{}', '[]', 0);
INSERT INTO invoice_vat (invoice_id, category, rate, base_minor, vat_minor) VALUES (7, 'S', '20', 100, 20);
INSERT INTO payment (id, invoice_id, paid_on, amount_minor, reference, origin, recorded_at)
 VALUES (1, 7, '2022-05-01', 120, 'bank-1', 'cli', 0)
"""


def test_invoices_of_an_earlier_release_are_kept(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    with database.engine.connect() as connection:
        upgrade(connection, "0007")
        for statement in ROWS.split(";\n"):
            connection.execute(text(statement.replace(":", "\\:")))
        connection.commit()

    database.migrate()

    with database.snapshot() as session:
        row = session.connection().execute(text("SELECT id, number, purpose, reason, credits_id FROM invoice")).one()
        assert tuple(row) == (7, "INV/2022/04/0001", "period", "", None)
        assert session.connection().execute(text("SELECT invoice_id FROM payment")).scalars().all() == [7]
    with database.engine.connect() as connection:
        command.check(configuration(connection))
    database.dispose()
