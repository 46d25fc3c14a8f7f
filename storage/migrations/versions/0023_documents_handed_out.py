"""documents that were handed out

Revision ID: 0023
Revises: 0022
"""

import sqlalchemy as sa
from alembic import op

from storage.types import Instant, Word

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "issued_document",
        sa.Column("invoice_id", sa.Integer(), nullable=False),
        sa.Column("form", Word(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("annex", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", Instant(), nullable=False),
        sa.CheckConstraint("form IN ('pdf', 'factur-x', 'ubl')", name=op.f("ck_issued_document_form")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_issued_document_invoice_id")),
        sa.PrimaryKeyConstraint("invoice_id", "form", "language", "annex", name=op.f("pk_issued_document")),
    )


def downgrade() -> None:
    op.drop_table("issued_document")
