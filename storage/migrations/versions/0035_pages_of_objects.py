"""objects are listed by pages: what they are chosen by is in the order of their references

Revision ID: 0035
Revises: 0030
"""

from alembic import op

revision = "0035"
down_revision = "0030"
branch_labels = None
depends_on = None

COLUMNS = ("status", "customer_id", "contract_id", "subscription_id")


def upgrade() -> None:
    for column in COLUMNS:
        op.drop_index(op.f(f"ix_connected_object_{column}"), table_name="connected_object")
        op.create_index(op.f(f"ix_connected_object_{column}_reference"), "connected_object", [column, "reference"])


def downgrade() -> None:
    for column in COLUMNS:
        op.drop_index(op.f(f"ix_connected_object_{column}_reference"), table_name="connected_object")
        op.create_index(op.f(f"ix_connected_object_{column}"), "connected_object", [column])
