"""members and archived months

Revision ID: 0004
Revises: 0003
"""
from alembic import op
import sqlalchemy as sa


revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('ingest_member',
    sa.Column('client_id', sa.String(), nullable=False),
    sa.Column('host', sa.String(), nullable=False),
    sa.Column('pid', sa.Integer(), nullable=False),
    sa.Column('started_at', sa.BigInteger(), nullable=False),
    sa.Column('heartbeat_at', sa.BigInteger(), nullable=False),
    sa.Column('messages', sa.BigInteger(), nullable=False),
    sa.Column('last_batch_at', sa.BigInteger(), nullable=True),
    sa.Column('stopped_at', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('client_id', name=op.f('pk_ingest_member'))
    )
    op.create_table('archived_month',
    sa.Column('month_starts_on', sa.Date(), nullable=False),
    sa.Column('archived_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('month_starts_on', name=op.f('pk_archived_month'))
    )


def downgrade() -> None:
    op.drop_table('archived_month')
    op.drop_table('ingest_member')
