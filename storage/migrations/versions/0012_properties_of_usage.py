"""properties of usage records

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "property_set",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_property_set")),
        sa.UniqueConstraint("digest", name=op.f("uq_property_set_digest")),
    )
    op.add_column("usage_record", sa.Column("property_set_id", sa.Integer(), nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        _alter_archived()


def _alter_archived() -> None:
    """A detached month is a table of its own, and comes back only with the columns of the others."""
    detached = op.get_bind().exec_driver_sql(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^usage_record_[0-9]{4}_[0-9]{2}$' "
        "AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'usage_record'::regclass) "
        "AND NOT relispartition"
    )
    for name in list(detached.scalars()):
        op.add_column(name, sa.Column("property_set_id", sa.Integer(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("the properties of the usage would be lost; restore a backup instead")
