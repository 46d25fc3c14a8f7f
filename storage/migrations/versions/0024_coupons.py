"""coupons of contracts, and what lines took of them

Revision ID: 0024
Revises: 0023
"""

import sqlalchemy as sa
from alembic import op

from storage.types import Exact, Word

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "coupon",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("contract_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("amount", Exact(), nullable=False),
        sa.Column("periods", sa.Integer(), nullable=False),
        sa.Column("subscription", sa.String(), nullable=True),
        sa.Column("rest", Word(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.CheckConstraint("rest IN ('carry', 'drop')", name=op.f("ck_coupon_rest")),
        sa.CheckConstraint("periods > 0", name=op.f("ck_coupon_periods")),
        sa.ForeignKeyConstraint(["contract_id"], ["contract.id"], name=op.f("fk_coupon_contract_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_coupon")),
        sa.UniqueConstraint("contract_id", "name", name=op.f("uq_coupon_contract_id_name")),
    )
    op.create_table(
        "coupon_use",
        sa.Column("line_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("coupon_id", sa.Integer(), nullable=False),
        sa.Column("taken_minor", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["line_id"], ["invoice_line.id"], name=op.f("fk_coupon_use_line_id")),
        sa.ForeignKeyConstraint(["coupon_id"], ["coupon.id"], name=op.f("fk_coupon_use_coupon_id")),
        sa.PrimaryKeyConstraint("line_id", name=op.f("pk_coupon_use")),
    )
    op.create_index(op.f("ix_coupon_use_coupon_id"), "coupon_use", ["coupon_id"])


def downgrade() -> None:
    op.drop_table("coupon_use")
    op.drop_table("coupon")
