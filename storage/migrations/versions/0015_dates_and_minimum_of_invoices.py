"""what day an invoice bears, which months are locked, and below which total it waits

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE contract ADD COLUMN dating VARCHAR NOT NULL DEFAULT 'period_end' "
        "CONSTRAINT ck_contract_dating CHECK (dating IN ('period_end', 'issue_day'))"
    )
    op.add_column("contract", sa.Column("minimum_invoice", sa.Text(), nullable=False, server_default="0"))
    op.create_table(
        "locked_month",
        sa.Column("month_starts_on", sa.Date(), nullable=False),
        sa.Column("locked_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("month_starts_on", name=op.f("pk_locked_month")),
    )


def downgrade() -> None:
    op.drop_table("locked_month")
    op.drop_column("contract", "minimum_invoice")
    op.drop_column("contract", "dating")
