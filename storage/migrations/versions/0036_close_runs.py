"""closes that were started over HTTP

Revision ID: 0036
Revises: 0028
"""

import sqlalchemy as sa
from alembic import op

from storage.types import Instant, Json, Word

revision = "0036"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "close_run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("until", sa.Date(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("status", Word(), nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("heard_at", Instant(), nullable=False),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("report", Json(), nullable=True),
        sa.CheckConstraint("status IN ('running', 'done', 'failed')", name=op.f("ck_close_run_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_close_run")),
    )
    op.create_index(
        "uq_close_run_running",
        "close_run",
        ["status"],
        unique=True,
        sqlite_where=sa.text("status = 'running'"),
        postgresql_where=sa.text("status = 'running'"),
    )


def downgrade() -> None:
    op.drop_table("close_run")
