"""sources, and what quarantine knows of them

Revision ID: 0014
Revises: 0013
"""
from alembic import op
import sqlalchemy as sa


revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('source',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('definition', sa.Text(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_source')),
    sa.UniqueConstraint('name', 'version', name=op.f('uq_source_name_version'))
    )
    op.add_column('quarantine', sa.Column('source', sa.String(), nullable=True))
    op.add_column('quarantine', sa.Column('part', sa.String(), nullable=True))
    op.create_index('ix_quarantine_object_reference', 'quarantine', ['object_reference'])


def downgrade() -> None:
    op.drop_index('ix_quarantine_object_reference', 'quarantine')
    op.drop_column('quarantine', 'part')
    op.drop_column('quarantine', 'source')
    op.drop_table('source')
