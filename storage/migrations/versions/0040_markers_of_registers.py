"""which register the readings of an object are of, as its messages say

Revision ID: 0040
Revises: 0029
"""

import sqlalchemy as sa
from alembic import op

from storage.types import Instant

revision = "0040"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "register_marker",
        sa.Column("object_id", sa.Integer(), nullable=False),
        sa.Column("metric_id", sa.Integer(), nullable=False),
        sa.Column("marker", sa.String(), nullable=False),
        sa.Column("first_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("object_id", "metric_id", "marker", name=op.f("pk_register_marker")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("register_marker")
