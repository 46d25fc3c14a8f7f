"""shares are checked by sets on PostgreSQL, and only what is open is in the index of what is due

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

PARENTS = (("invoicing_schedule", "schedule_id"), ("invoice_line", "line_id"))
"""What a share refers to, and by which column."""
OPEN = "status IN ('planned', 'valued')"


def upgrade() -> None:
    op.drop_index("ix_invoicing_schedule_due", "invoicing_schedule")
    op.create_index(
        "ix_invoicing_schedule_due",
        "invoicing_schedule",
        ["contract_id", "due_on"],
        sqlite_where=sa.text(OPEN),
        postgresql_where=sa.text(OPEN),
    )
    if op.get_bind().dialect.name == "postgresql":
        _check_by_sets()


def _check_by_sets() -> None:
    """A foreign key asks for each row by a statement of its own; these ask once for all rows of a statement.

    What inserts shares has written their schedules and lines in the same transaction, so nobody takes them away
    meanwhile.
    """
    for table, column in PARENTS:
        op.drop_constraint(f"fk_line_share_{column}", "line_share", type_="foreignkey")
        op.execute(f"""
            CREATE FUNCTION line_share_{column}_is_there() RETURNS trigger LANGUAGE plpgsql AS $$
            DECLARE missing int;
            BEGIN
                SELECT n.{column} INTO missing FROM added n
                WHERE NOT EXISTS (SELECT FROM {table} p WHERE p.id = n.{column}) LIMIT 1;
                IF FOUND THEN
                    RAISE EXCEPTION 'line_share: {table} % does not exist', missing USING ERRCODE = '23503';
                END IF;
                RETURN NULL;
            END $$
        """)
        for done, event in (("inserted", "INSERT"), ("updated", "UPDATE")):
            op.execute(f"""
                CREATE TRIGGER {column}_is_there_{done} AFTER {event} ON line_share REFERENCING NEW TABLE AS added
                FOR EACH STATEMENT EXECUTE FUNCTION line_share_{column}_is_there()
            """)
        op.execute(f"""
            CREATE FUNCTION {table}_was_not_charged() RETURNS trigger LANGUAGE plpgsql AS $$
            DECLARE charged int;
            BEGIN
                SELECT g.id INTO charged FROM gone g
                WHERE EXISTS (SELECT FROM line_share l WHERE l.{column} = g.id) LIMIT 1;
                IF FOUND THEN
                    RAISE EXCEPTION '{table} % has shares of invoice lines', charged USING ERRCODE = '23503';
                END IF;
                RETURN NULL;
            END $$
        """)
        op.execute(f"""
            CREATE TRIGGER was_not_charged AFTER DELETE ON {table} REFERENCING OLD TABLE AS gone
            FOR EACH STATEMENT EXECUTE FUNCTION {table}_was_not_charged()
        """)


def downgrade() -> None:
    op.drop_index("ix_invoicing_schedule_due", "invoicing_schedule")
    op.create_index("ix_invoicing_schedule_due", "invoicing_schedule", ["contract_id", "status", "due_on"])
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, column in PARENTS:
        op.execute(f"DROP FUNCTION line_share_{column}_is_there() CASCADE")
        op.execute(f"DROP FUNCTION {table}_was_not_charged() CASCADE")
        op.create_foreign_key(f"fk_line_share_{column}", "line_share", table, [column], ["id"])
