"""how a register's value at the end of a period is found

Revision ID: 0029
Revises: 0036
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE metric ADD COLUMN boundary VARCHAR NOT NULL DEFAULT 'carried' "
        "CONSTRAINT ck_metric_boundary CHECK (boundary IN ('carried', 'interpolated'))"
    )
    op.add_column(
        "metric", sa.Column("boundary_tolerance_seconds", sa.Integer(), nullable=False, server_default="0")
    )


def downgrade() -> None:
    op.drop_column("metric", "boundary_tolerance_seconds")
    op.drop_column("metric", "boundary")
