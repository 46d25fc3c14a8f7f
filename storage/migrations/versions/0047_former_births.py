"""what sparkplug births said before the last one

Revision ID: 0047
Revises: 0052
"""

import sqlalchemy as sa
from alembic import op

from storage.types import Instant, Json

revision = "0047"
down_revision = "0052"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sparkplug_former_birth",
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("until_at", Instant(), nullable=False),
        sa.Column("content", Json(), nullable=False),
        sa.PrimaryKeyConstraint("node", "until_at", name=op.f("pk_sparkplug_former_birth")),
    )


def downgrade() -> None:
    op.drop_table("sparkplug_former_birth")
