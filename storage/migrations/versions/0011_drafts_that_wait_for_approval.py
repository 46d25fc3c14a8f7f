"""drafts that wait for approval: the contract's setting, what a draft is called, and what approving it writes

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE contract ADD COLUMN approval VARCHAR NOT NULL DEFAULT 'none' "
        "CONSTRAINT ck_contract_approval CHECK (approval IN ('none', 'required'))"
    )
    op.add_column("invoice", sa.Column("draft_name", sa.String(), nullable=True))
    op.create_index("ix_invoice_draft_name", "invoice", ["draft_name"], unique=True)
    op.create_table(
        "draft_month",
        sa.Column("contract_id", sa.Integer(), nullable=False),
        sa.Column("month_starts_on", sa.Date(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("usage_mark", sa.BigInteger(), nullable=False),
        sa.Column("drafted_at", sa.BigInteger(), nullable=False),
        sa.Column("schedules", sa.Text(), nullable=False),
        sa.Column("boundaries", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["contract_id"], ["contract.id"], name=op.f("fk_draft_month_contract_id")),
        sa.PrimaryKeyConstraint("contract_id", "month_starts_on", name=op.f("pk_draft_month")),
    )


def downgrade() -> None:
    op.drop_table("draft_month")
    op.drop_index("ix_invoice_draft_name", "invoice")
    op.drop_column("invoice", "draft_name")
    op.drop_column("contract", "approval")
