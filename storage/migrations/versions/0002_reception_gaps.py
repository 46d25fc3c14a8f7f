"""broker sessions and reception gaps

Revision ID: 0002
Revises: 0001
"""
from alembic import op
import sqlalchemy as sa


revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('broker_session',
    sa.Column('client_id', sa.String(), nullable=False),
    sa.Column('broker', sa.String(), nullable=False),
    sa.Column('established_at', sa.BigInteger(), nullable=False),
    sa.Column('held_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('client_id', 'broker', name=op.f('pk_broker_session'))
    )
    op.create_table('reception_gap',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('client_id', sa.String(), nullable=False),
    sa.Column('broker', sa.String(), nullable=False),
    sa.Column('starts_at', sa.BigInteger(), nullable=False),
    sa.Column('ends_at', sa.BigInteger(), nullable=False),
    sa.Column('reason', sa.String(), nullable=False),
    sa.CheckConstraint("reason IN ('session_lost')", name=op.f('ck_reception_gap_reason')),
    sa.CheckConstraint('starts_at <= ends_at', name=op.f('ck_reception_gap_order')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_reception_gap'))
    )


def downgrade() -> None:
    op.drop_table('reception_gap')
    op.drop_table('broker_session')
