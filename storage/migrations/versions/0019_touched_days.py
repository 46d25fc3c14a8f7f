"""days of usage with the last batch that touched them, instead of an index on the batch of every rollup row

Revision ID: 0019
Revises: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

FILL_PERCENT = 80


def upgrade() -> None:
    op.create_table(
        "usage_day",
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("batch", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_usage_day")),
    )
    op.execute("INSERT INTO usage_day (day, batch) SELECT day, max(batch) FROM usage_rollup GROUP BY day")
    op.drop_index("ix_usage_rollup_batch", table_name="usage_rollup")
    if op.get_bind().dialect.name == "postgresql":
        # Room for the new version of a row on its own page, so that no index is touched: it holds no column that changes.
        op.execute(f"ALTER TABLE usage_rollup SET (fillfactor = {FILL_PERCENT})")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE usage_rollup RESET (fillfactor)")
    op.create_index("ix_usage_rollup_batch", "usage_rollup", ["batch"])
    op.drop_table("usage_day")
