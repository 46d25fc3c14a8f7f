"""what changes of mind leave: lines of items, renewals, fees to the end of a term, register epochs

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATUSES = "status IN ('running', 'ended', 'terminated', 'replaced', 'cancelled')"
RENEWALS = "renewal IN ('none', 'automatic')"
KEPT = (
    "id, name, contract_id, subscription_id, object_id, plan_version_id, status, term_months, starts_on, ends_on, "
    "start_at, end_at"
)
INDEXES = {
    "ix_contract_item_contract_id": ["contract_id"],
    "ix_contract_item_object_id": ["object_id"],
    "ix_contract_item_status_end_at": ["status", "end_at"],
}


def upgrade() -> None:
    op.add_column("contract", sa.Column("renewal", sa.String(), nullable=False, server_default="none"))
    op.add_column("contract", sa.Column("notice_days", sa.Integer(), nullable=False, server_default="0"))
    if op.get_bind().dialect.name == "sqlite":
        _rebuild_items()
    else:
        _alter_items()
    op.create_index(
        "uq_contract_item_start",
        "contract_item",
        ["subscription_id", "object_id", "starts_on"],
        unique=True,
        sqlite_where=sa.text("status != 'cancelled'"),
        postgresql_where=sa.text("status != 'cancelled'"),
    )
    op.create_table(
        "register_epoch",
        sa.Column("object_id", sa.Integer(), nullable=False),
        sa.Column("metric_id", sa.Integer(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("final_quantity", sa.BigInteger(), nullable=False),
        sa.Column("initial_quantity", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("object_id", "metric_id", "starts_at", name=op.f("pk_register_epoch")),
        sqlite_with_rowid=False,
    )


def _alter_items() -> None:
    op.add_column("contract_item", sa.Column("follows_id", sa.Integer(), nullable=True))
    op.create_foreign_key(
        op.f("fk_contract_item_follows_id"), "contract_item", "contract_item", ["follows_id"], ["id"]
    )
    op.add_column("contract_item", sa.Column("term_starts_on", sa.Date(), nullable=True))
    op.add_column("contract_item", sa.Column("fees_until", sa.Date(), nullable=True))
    op.add_column("contract_item", sa.Column("renewal", sa.String(), nullable=False, server_default="none"))
    op.add_column("contract_item", sa.Column("notice_days", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("contract_item", sa.Column("notice_on", sa.Date(), nullable=True))
    op.drop_constraint(op.f("uq_contract_item_subscription_id_object_id_starts_on"), "contract_item", type_="unique")
    op.drop_constraint(op.f("ck_contract_item_status"), "contract_item", type_="check")
    op.create_check_constraint(op.f("ck_contract_item_status"), "contract_item", STATUSES)
    op.create_check_constraint(op.f("ck_contract_item_renewal"), "contract_item", RENEWALS)


def _rebuild_items() -> None:
    """SQLite changes no constraint in place; `Database.migrate` has its foreign keys off meanwhile."""
    for name in INDEXES:
        op.drop_index(name, "contract_item")
    op.create_table(
        "contract_item_new",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("contract_id", sa.Integer(), nullable=False),
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("object_id", sa.Integer(), nullable=False),
        sa.Column("plan_version_id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("term_months", sa.Integer(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("start_at", sa.BigInteger(), nullable=False),
        sa.Column("end_at", sa.BigInteger(), nullable=False),
        sa.Column("follows_id", sa.Integer(), nullable=True),
        sa.Column("term_starts_on", sa.Date(), nullable=True),
        sa.Column("fees_until", sa.Date(), nullable=True),
        sa.Column("renewal", sa.String(), nullable=False, server_default="none"),
        sa.Column("notice_days", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("notice_on", sa.Date(), nullable=True),
        sa.CheckConstraint("starts_on < ends_on", name=op.f("ck_contract_item_term")),
        sa.CheckConstraint(STATUSES, name=op.f("ck_contract_item_status")),
        sa.CheckConstraint(RENEWALS, name=op.f("ck_contract_item_renewal")),
        sa.ForeignKeyConstraint(["contract_id"], ["contract.id"], name=op.f("fk_contract_item_contract_id")),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_contract_item_subscription_id")
        ),
        sa.ForeignKeyConstraint(["object_id"], ["connected_object.id"], name=op.f("fk_contract_item_object_id")),
        sa.ForeignKeyConstraint(
            ["plan_version_id"], ["plan_version.id"], name=op.f("fk_contract_item_plan_version_id")
        ),
        sa.ForeignKeyConstraint(["follows_id"], ["contract_item_new.id"], name=op.f("fk_contract_item_follows_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contract_item")),
    )
    op.execute(f"INSERT INTO contract_item_new ({KEPT}) SELECT {KEPT} FROM contract_item")
    op.drop_table("contract_item")
    op.rename_table("contract_item_new", "contract_item")
    for name, columns in INDEXES.items():
        op.create_index(name, "contract_item", columns)


def downgrade() -> None:
    raise NotImplementedError("items with the new statuses have no place in the old table; restore a backup instead")
