"""how far a close is, and documents by month

Revision ID: 0051
Revises: 0049
"""

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0049"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("close_run", sa.Column("months_due", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("ix_invoice_month_starts_on", "invoice", ["month_starts_on", "id"])


def downgrade() -> None:
    op.drop_index("ix_invoice_month_starts_on", "invoice")
    op.drop_column("close_run", "months_due")
