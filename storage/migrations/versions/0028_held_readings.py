"""what is known of registers, and what was decided of readings that were held

Revision ID: 0028
Revises: 0033
"""

import sqlalchemy as sa
from alembic import op

from storage.types import Exact, Instant, Word

revision = "0028"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("metric", sa.Column("register_width", sa.Integer(), nullable=True))
    op.add_column("metric", sa.Column("maximum_rate", Exact(), nullable=True))
    op.create_table(
        "reading_decision",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("object_id", sa.Integer(), nullable=False),
        sa.Column("metric_id", sa.Integer(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("until", Instant(), nullable=True),
        sa.Column("decision", Word(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.CheckConstraint(
            "decision IN ('accept', 'reject', 'exchange')", name=op.f("ck_reading_decision_decision")
        ),
        sa.ForeignKeyConstraint(
            ["object_id"], ["connected_object.id"], name=op.f("fk_reading_decision_object_id")
        ),
        sa.ForeignKeyConstraint(["metric_id"], ["metric.id"], name=op.f("fk_reading_decision_metric_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reading_decision")),
    )
    op.create_index("ix_reading_decision_register", "reading_decision", ["object_id", "metric_id", "at"])
    held = sa.text("quality = 'held'")
    op.create_index(
        "ix_boundary_value_held", "boundary_value", ["metric_id", "at"], sqlite_where=held, postgresql_where=held
    )


def downgrade() -> None:
    op.drop_index("ix_boundary_value_held", "boundary_value")
    op.drop_table("reading_decision")
    with op.batch_alter_table("metric") as batch:
        batch.drop_column("maximum_rate")
        batch.drop_column("register_width")
