"""one invoice for each contract, for each customer, or for each value of an attribute

Revision ID: 0020
Revises: 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

PERIOD = "purpose = 'period'"


def upgrade() -> None:
    op.add_column("contract", sa.Column("invoicing", sa.String(), nullable=False, server_default="contract"))
    op.add_column("invoice", sa.Column("part_attribute", sa.String(), nullable=False, server_default=""))
    op.add_column("invoice", sa.Column("part", sa.String(), nullable=False, server_default=""))
    op.drop_index("uq_invoice_period", "invoice")
    op.create_index(
        "uq_invoice_period",
        "invoice",
        ["contract_id", "month_starts_on", "kind", "part"],
        unique=True,
        sqlite_where=sa.text(PERIOD),
        postgresql_where=sa.text(PERIOD),
    )
    op.add_column("draft_month", sa.Column("lead_id", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("draft_month", sa.Column("carried", sa.Text(), nullable=False, server_default="[]"))
    op.execute("UPDATE draft_month SET lead_id = contract_id")


def downgrade() -> None:
    raise NotImplementedError("several invoices of one contract and month have no place in the old table")
