"""The rollup is led by the day: the rows that live messages touch lie together."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _move(columns: tuple[str, ...], indexes: dict[str, tuple[str, ...]]) -> None:
    op.rename_table("usage_rollup", "usage_rollup_before")
    op.drop_index("ix_usage_rollup_batch", table_name="usage_rollup_before")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE usage_rollup_before RENAME CONSTRAINT pk_usage_rollup TO pk_usage_rollup_before")
    op.create_table(
        "usage_rollup",
        sa.Column("object_id", sa.Integer(), nullable=False),
        sa.Column("metric_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("record_count", sa.BigInteger(), nullable=False),
        sa.Column("quantity_sum", sa.BigInteger(), nullable=False),
        sa.Column("quantity_max", sa.BigInteger(), nullable=False),
        sa.Column("quantity_min", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("first_quantity", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("last_quantity", sa.BigInteger(), nullable=False),
        sa.Column("batch", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "quantity_sum BETWEEN -9200000000000000000 AND 9200000000000000000",
            name=op.f("ck_usage_rollup_quantity_sum"),
        ),
        sa.PrimaryKeyConstraint(*columns, name=op.f("pk_usage_rollup")),
        sqlite_with_rowid=False,
    )
    names = (
        "object_id, metric_id, day, record_count, quantity_sum, quantity_max, quantity_min, "
        "first_at, first_quantity, last_at, last_quantity, batch"
    )
    op.execute(
        f"INSERT INTO usage_rollup ({names}) SELECT {names} FROM usage_rollup_before ORDER BY {', '.join(columns)}"
    )
    op.drop_table("usage_rollup_before")
    for name, indexed in indexes.items():
        op.create_index(name, "usage_rollup", list(indexed))


def upgrade() -> None:
    _move(
        ("day", "object_id", "metric_id"),
        {"ix_usage_rollup_batch": ("batch",), "ix_usage_rollup_object": ("object_id", "metric_id", "day")},
    )


def downgrade() -> None:
    op.drop_index("ix_usage_rollup_object", table_name="usage_rollup")
    _move(("object_id", "metric_id", "day"), {"ix_usage_rollup_batch": ("batch",)})
