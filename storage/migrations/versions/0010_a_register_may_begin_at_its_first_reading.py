"""a register that is put in may begin at its first reading

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _make(initial_may_be_unknown=True)


def downgrade() -> None:
    _make(initial_may_be_unknown=False)


def _make(*, initial_may_be_unknown: bool) -> None:
    """The table is made anew: until now nothing wrote it."""
    op.drop_table("register_epoch")
    op.create_table(
        "register_epoch",
        sa.Column("object_id", sa.Integer(), nullable=False),
        sa.Column("metric_id", sa.Integer(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("final_quantity", sa.BigInteger(), nullable=False),
        sa.Column("initial_quantity", sa.BigInteger(), nullable=initial_may_be_unknown),
        sa.PrimaryKeyConstraint("object_id", "metric_id", "starts_at", name=op.f("pk_register_epoch")),
        sqlite_with_rowid=False,
    )
