"""a word for a register that comes back begins a register again

Revision ID: 0049
Revises: 0026
"""

import sqlalchemy as sa
from alembic import op

from storage.types import Instant

revision = "0049"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _keyed_by("first_at")


def downgrade() -> None:
    op.execute(
        "DELETE FROM register_marker WHERE EXISTS (SELECT 1 FROM register_marker e "
        "WHERE e.object_id = register_marker.object_id AND e.metric_id = register_marker.metric_id "
        "AND e.marker = register_marker.marker AND e.first_at < register_marker.first_at)"
    )
    _keyed_by("marker")


def _keyed_by(column: str) -> None:
    op.rename_table("register_marker", "register_marker_before")
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER INDEX pk_register_marker RENAME TO pk_register_marker_before")
    op.create_table(
        "register_marker",
        sa.Column("object_id", sa.Integer(), nullable=False),
        sa.Column("metric_id", sa.Integer(), nullable=False),
        sa.Column("marker", sa.String(), nullable=False),
        sa.Column("first_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("object_id", "metric_id", column, name=op.f("pk_register_marker")),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO register_marker (object_id, metric_id, marker, first_at) SELECT object_id, metric_id, "
        "MAX(marker), first_at FROM register_marker_before GROUP BY object_id, metric_id, first_at"
    )
    op.drop_table("register_marker_before")
