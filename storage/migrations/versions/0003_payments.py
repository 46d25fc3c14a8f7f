"""payments of issued documents

Revision ID: 0003
Revises: 0002
"""
import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'payment',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('invoice_id', sa.Integer(), nullable=False),
        sa.Column('paid_on', sa.Date(), nullable=False),
        sa.Column('amount_minor', sa.BigInteger(), nullable=False),
        sa.Column('reference', sa.String(), nullable=False),
        sa.Column('origin', sa.String(), nullable=False),
        sa.Column('recorded_at', sa.BigInteger(), nullable=False),
        sa.CheckConstraint('amount_minor > 0', name=op.f('ck_payment_amount')),
        sa.ForeignKeyConstraint(['invoice_id'], ['invoice.id'], name=op.f('fk_payment_invoice_id')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_payment')),
        sa.UniqueConstraint('invoice_id', 'reference', name=op.f('uq_payment_invoice_id_reference')),
    )


def downgrade() -> None:
    op.drop_table('payment')
