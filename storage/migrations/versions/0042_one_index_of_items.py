"""one index finds the schedules of an object and keeps an item's from being planned twice

Revision ID: 0042
Revises: 0051
"""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0051"
branch_labels = None
depends_on = None

TABLE = "invoicing_schedule"
BEFORE = "uq_invoicing_schedule_contract_item_id_charge_id_starts_on"
PARTIAL = (
    ("ix_invoicing_schedule_due", ["contract_id", "due_on"], "status IN ('planned', 'valued')", False),
    ("ix_invoicing_schedule_revalue", ["contract_id"], "revalue = 1", False),
    ("uq_invoicing_schedule_pool", ["subscription_id", "charge_id", "nominal_starts_on"], "contract_item_id IS NULL", True),
)
"""Indexes of a part of the rows: SQLite, which copies the table to take a constraint from it, would make them whole."""


def upgrade() -> None:
    op.drop_index("ix_invoicing_schedule_object", TABLE)
    if op.get_bind().dialect.name == "sqlite":
        for name, *_ in PARTIAL:
            op.drop_index(name, TABLE)
        with op.batch_alter_table(TABLE) as table:
            table.drop_constraint(BEFORE, type_="unique")
        for name, columns, where, unique in PARTIAL:
            op.create_index(name, TABLE, columns, unique=unique, sqlite_where=sa.text(where))
    else:
        op.drop_constraint(BEFORE, TABLE, type_="unique")
    op.create_index(
        "uq_invoicing_schedule_item", TABLE, ["object_id", "start_at", "charge_id", "contract_item_id"], unique=True
    )


def downgrade() -> None:
    op.drop_index("uq_invoicing_schedule_item", TABLE)
    with op.batch_alter_table(TABLE) as table:
        table.create_unique_constraint(BEFORE, ["contract_item_id", "charge_id", "starts_on"])
    op.create_index("ix_invoicing_schedule_object", TABLE, ["object_id", "metric_id", "start_at"])
