"""what plans tell objects, where objects listen, and reports of presence that are still to settle

Revision ID: 0033
Revises: 0035
"""

import sqlalchemy as sa
from alembic import op

from storage.types import Instant, Json

revision = "0033"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("plan", sa.Column("commands", Json(), nullable=True))
    op.add_column("object_presence", sa.Column("silent_since", Instant(), nullable=True))
    op.add_column("quarantine", sa.Column("properties", Json(), nullable=True))
    op.create_table(
        "device_address",
        sa.Column("object_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("captures", Json(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["object_id"], ["connected_object.id"], name=op.f("fk_device_address_object_id")),
        sa.PrimaryKeyConstraint("object_id", name=op.f("pk_device_address")),
    )
    op.create_table(
        "presence_report",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("object_id", sa.Integer(), nullable=False),
        sa.Column("occurred_at", Instant(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("detail", Json(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.Column("waits_until", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["object_id"], ["connected_object.id"], name=op.f("fk_presence_report_object_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_presence_report")),
        sa.UniqueConstraint(
            "object_id", "occurred_at", "kind", "key", name=op.f("uq_presence_report_object_id_occurred_at_kind_key")
        ),
    )
    op.create_index(op.f("ix_presence_report_waits_until"), "presence_report", ["waits_until"])


def downgrade() -> None:
    op.drop_table("presence_report")
    op.drop_table("device_address")
    op.drop_column("quarantine", "properties")
    op.drop_column("object_presence", "silent_since")
    op.drop_column("plan", "commands")
