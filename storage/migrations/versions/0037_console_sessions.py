"""who is signed in to the console

Revision ID: 0037
Revises: 0032
"""

import sqlalchemy as sa
from alembic import op

from storage.types import Instant

revision = "0037"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "console_session",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_console_session")),
    )
    op.create_index(op.f("ix_console_session_token"), "console_session", ["token"])
    op.create_index(op.f("ix_console_session_expires_at"), "console_session", ["expires_at"])


def downgrade() -> None:
    op.drop_table("console_session")
