"""commands to objects, and what became of them

Revision ID: 0032
Revises: 0034
"""

import sqlalchemy as sa
from alembic import op

from storage.types import Instant, Json, Word

revision = "0032"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "device_command",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("object_id", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("body", Json(), nullable=False),
        sa.Column("status", Word(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("requested_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("waits_until", Instant(), nullable=True),
        sa.Column("sent_at", Instant(), nullable=True),
        sa.Column("answered_at", Instant(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("wire_id", sa.String(), nullable=True),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("answers", sa.Integer(), nullable=False),
        sa.Column("purpose", Json(), nullable=True),
        sa.CheckConstraint(
            "status IN ('requested', 'sent', 'acknowledged', 'failed', 'expired')", name=op.f("ck_device_command_status")
        ),
        sa.ForeignKeyConstraint(
            ["object_id"], ["connected_object.id"], name=op.f("fk_device_command_object_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_command")),
        sa.UniqueConstraint("object_id", "request_id", name=op.f("uq_device_command_object_id_request_id")),
    )
    op.create_index(op.f("ix_device_command_waits_until"), "device_command", ["waits_until"])
    op.add_column("outbox", sa.Column("device_command_id", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("outbox", "device_command_id")
    op.drop_table("device_command")
