"""money paid on a contract before it is invoiced

Revision ID: 0039
Revises: 0037
"""

import sqlalchemy as sa
from alembic import op

from storage.types import Instant

revision = "0039"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "advance",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("contract_id", sa.Integer(), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_advance_amount")),
        sa.ForeignKeyConstraint(["contract_id"], ["contract.id"], name=op.f("fk_advance_contract_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_advance")),
        sa.UniqueConstraint("contract_id", "reference", name=op.f("uq_advance_contract_id_reference")),
    )
    with op.batch_alter_table("payment") as batch:
        batch.add_column(sa.Column("advance_id", sa.Integer(), nullable=True))
        batch.create_foreign_key(op.f("fk_payment_advance_id"), "advance", ["advance_id"], ["id"])
        batch.create_index(op.f("ix_payment_advance_id"), ["advance_id"])


def downgrade() -> None:
    with op.batch_alter_table("payment") as batch:
        batch.drop_index(op.f("ix_payment_advance_id"))
        batch.drop_constraint(op.f("fk_payment_advance_id"), type_="foreignkey")
        batch.drop_column("advance_id")
    op.drop_table("advance")
