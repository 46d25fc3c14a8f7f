"""pools: charges of a subscription or a contract as a whole, and what each object has of them

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    scope = sa.Column("scope", sa.String(), nullable=False, server_default="item")
    with op.batch_alter_table("charge") as charge:
        charge.add_column(scope)
        charge.create_check_constraint(op.f("ck_charge_scope"), "scope IN ('item', 'subscription', 'contract')")
    op.create_index(
        "uq_invoicing_schedule_pool",
        "invoicing_schedule",
        ["subscription_id", "charge_id", "nominal_starts_on"],
        unique=True,
        sqlite_where=sa.text("contract_item_id IS NULL"),
        postgresql_where=sa.text("contract_item_id IS NULL"),
    )
    op.create_table(
        "object_share",
        sa.Column("line_id", sa.Integer(), nullable=False),
        sa.Column("schedule_id", sa.Integer(), nullable=False),
        sa.Column("object_id", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Text(), nullable=False),
        sa.Column("amount", sa.Text(), nullable=False),
        sa.Column("share_minor", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["line_id"], ["invoice_line.id"], name=op.f("fk_object_share_line_id")),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["invoicing_schedule.id"], name=op.f("fk_object_share_schedule_id")
        ),
        sa.ForeignKeyConstraint(["object_id"], ["connected_object.id"], name=op.f("fk_object_share_object_id")),
        sa.PrimaryKeyConstraint("line_id", "schedule_id", "object_id", name=op.f("pk_object_share")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_object_share_schedule_id", "object_share", ["schedule_id"])


def downgrade() -> None:
    raise NotImplementedError("what pools charged has no place in the old tables; restore a backup instead")
