"""how much the quarantine holds, what it had no room for, and the seller's accounts

Revision ID: 0031
Revises: 0040
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "quarantine_state",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("limit_bytes", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_quarantine_state_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine_state")),
    )
    op.execute(
        "INSERT INTO quarantine_state (id, size_bytes, limit_bytes) "
        "SELECT 1, COALESCE(SUM(LENGTH(payload)), 0), 1073741824 FROM quarantine"
    )
    op.create_table(
        "quarantine_overflow",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "reason", "source", name=op.f("pk_quarantine_overflow")),
    )
    op.add_column("seller", sa.Column("accounting", sa.Text(), nullable=False, server_default="{}"))


def downgrade() -> None:
    op.drop_column("seller", "accounting")
    op.drop_table("quarantine_overflow")
    op.drop_table("quarantine_state")
