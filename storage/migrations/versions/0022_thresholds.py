"""invoices in mid-period, when an amount is passed

Revision ID: 0022
Revises: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

PURPOSES = "purpose IN ('period', 'threshold', 'gesture', 'cancellation')"


def upgrade() -> None:
    with op.batch_alter_table("invoice") as invoice:
        invoice.add_column(sa.Column("usage_mark", sa.BigInteger(), nullable=True))
        invoice.drop_constraint(op.f("ck_invoice_purpose"), type_="check")
        invoice.create_check_constraint(op.f("ck_invoice_purpose"), PURPOSES)


def downgrade() -> None:
    raise NotImplementedError("invoices in mid-period have no place in the old table; restore a backup instead")
