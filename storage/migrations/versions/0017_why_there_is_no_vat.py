"""why there is no VAT: text and code for each category and rate of an invoice

Revision ID: 0017
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

DEFAULTS = {
    "E": ("Exempt from VAT", None),
    "AE": ("Reverse charge", "VATEX-EU-AE"),
    "K": ("Intra-Community supply", "VATEX-EU-IC"),
    "G": ("Export outside the EU", "VATEX-EU-G"),
    "O": ("Not subject to VAT", "VATEX-EU-O"),
}


def upgrade() -> None:
    op.add_column("invoice_vat", sa.Column("exemption_reason", sa.String(), nullable=True))
    op.add_column("invoice_vat", sa.Column("exemption_code", sa.String(), nullable=True))
    statement = sa.text("UPDATE invoice_vat SET exemption_reason = :reason, exemption_code = :code WHERE category = :category")
    for category, (reason, code) in DEFAULTS.items():
        op.get_bind().execute(statement, {"category": category, "reason": reason, "code": code})


def downgrade() -> None:
    op.drop_column("invoice_vat", "exemption_code")
    op.drop_column("invoice_vat", "exemption_reason")
