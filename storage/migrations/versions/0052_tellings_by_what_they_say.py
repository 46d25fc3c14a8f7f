"""tellings are found by their id

Revision ID: 0052
Revises: 0042
"""

from alembic import op

revision = "0052"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_webhook_delivery_message_id", "webhook_delivery", ["message_id"])


def downgrade() -> None:
    op.drop_index("ix_webhook_delivery_message_id", "webhook_delivery")
