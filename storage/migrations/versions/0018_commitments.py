"""commitments: a type of charge that counts what others are worth

Revision ID: 0018
Revises: 0017
"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TYPES = "type IN ('one_time', 'recurring', 'usage', 'event', 'commitment')"


def upgrade() -> None:
    with op.batch_alter_table("charge") as charge:
        charge.drop_constraint(op.f("ck_charge_type"), type_="check")
        charge.create_check_constraint(op.f("ck_charge_type"), TYPES)


def downgrade() -> None:
    raise NotImplementedError("plans with commitments have no place in the old table; restore a backup instead")
