"""versions of plans that subscriptions take on a day to come

Revision ID: 0026
Revises: 0041
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "planned_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("plan_version_id", sa.Integer(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_planned_version_subscription_id")
        ),
        sa.ForeignKeyConstraint(
            ["plan_version_id"], ["plan_version.id"], name=op.f("fk_planned_version_plan_version_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_planned_version")),
        sa.UniqueConstraint("subscription_id", "starts_on", name=op.f("uq_planned_version_subscription_id_starts_on")),
    )


def downgrade() -> None:
    op.drop_table("planned_version")
