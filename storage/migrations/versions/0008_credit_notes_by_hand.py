"""credit notes by hand: the purpose of a document, the invoice and the lines that it credits, why, and whose word

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

PURPOSES = "purpose IN ('period', 'gesture', 'cancellation')"
KEPT = (
    "id, number, kind, status, contract_id, customer_id, month_starts_on, month_ends_on, issued_on, due_on, currency, "
    "minor_digits, net_minor, vat_minor, gross_minor, seller, buyer, corrects, issued_at"
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rebuild()
    else:
        _alter()
    op.create_index(
        "uq_invoice_period",
        "invoice",
        ["contract_id", "month_starts_on", "kind"],
        unique=True,
        sqlite_where=sa.text("purpose = 'period'"),
        postgresql_where=sa.text("purpose = 'period'"),
    )
    op.execute(
        "ALTER TABLE invoice_line ADD COLUMN credits_line_id INTEGER "
        "CONSTRAINT fk_invoice_line_credits_line_id REFERENCES invoice_line (id)"
    )


def _alter() -> None:
    op.drop_constraint(op.f("uq_invoice_contract_id_month_starts_on_kind"), "invoice", type_="unique")
    op.add_column("invoice", sa.Column("purpose", sa.String(), nullable=False, server_default="period"))
    op.add_column("invoice", sa.Column("credits_id", sa.Integer(), nullable=True))
    op.add_column("invoice", sa.Column("reference", sa.String(), nullable=True))
    op.add_column("invoice", sa.Column("reason", sa.String(), nullable=False, server_default=""))
    op.create_check_constraint(op.f("ck_invoice_purpose"), "invoice", PURPOSES)
    op.create_foreign_key(op.f("fk_invoice_credits_id"), "invoice", "invoice", ["credits_id"], ["id"])
    op.create_unique_constraint(op.f("uq_invoice_credits_id_reference"), "invoice", ["credits_id", "reference"])


def _rebuild() -> None:
    """SQLite changes no constraint in place; `Database.migrate` has its foreign keys off meanwhile."""
    op.drop_index("ix_invoice_customer_id", "invoice")
    op.create_table(
        "invoice_new",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False, server_default="period"),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("contract_id", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Integer(), nullable=False),
        sa.Column("month_starts_on", sa.Date(), nullable=False),
        sa.Column("month_ends_on", sa.Date(), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("minor_digits", sa.Integer(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("vat_minor", sa.BigInteger(), nullable=False),
        sa.Column("gross_minor", sa.BigInteger(), nullable=False),
        sa.Column("seller", sa.Text(), nullable=False),
        sa.Column("buyer", sa.Text(), nullable=False),
        sa.Column("corrects", sa.Text(), nullable=False),
        sa.Column("credits_id", sa.Integer(), nullable=True),
        sa.Column("reference", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False, server_default=""),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("(number IS NULL) = (status = 'draft')", name=op.f("ck_invoice_number")),
        sa.CheckConstraint("kind IN ('invoice', 'credit_note')", name=op.f("ck_invoice_kind")),
        sa.CheckConstraint("status IN ('draft', 'issued')", name=op.f("ck_invoice_status")),
        sa.CheckConstraint(PURPOSES, name=op.f("ck_invoice_purpose")),
        sa.CheckConstraint("net_minor + vat_minor = gross_minor", name=op.f("ck_invoice_total")),
        sa.ForeignKeyConstraint(["contract_id"], ["contract.id"], name=op.f("fk_invoice_contract_id")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("fk_invoice_customer_id")),
        sa.ForeignKeyConstraint(["credits_id"], ["invoice_new.id"], name=op.f("fk_invoice_credits_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice")),
        sa.UniqueConstraint("number", name=op.f("uq_invoice_number")),
        sa.UniqueConstraint("credits_id", "reference", name=op.f("uq_invoice_credits_id_reference")),
    )
    op.execute(f"INSERT INTO invoice_new ({KEPT}) SELECT {KEPT} FROM invoice")
    op.drop_table("invoice")
    op.rename_table("invoice_new", "invoice")
    op.create_index("ix_invoice_customer_id", "invoice", ["customer_id"])


def downgrade() -> None:
    raise NotImplementedError("credit notes by hand have no place in the old table; restore a backup instead")
