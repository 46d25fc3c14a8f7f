"""How Alembic meets our connection and our tables."""

from typing import Any, Literal

from alembic import context
from sqlmodel import SQLModel

import storage.tables  # noqa: F401 - declares the tables
from storage.types import Exact, Instant, Json, Word


def render_item(kind: str, value: Any, _context: Any) -> str | Literal[False]:
    """Migrations name the stored type, so that a later change of ours does not change history."""
    if kind == "type" and isinstance(value, Exact | Json):
        return "sa.Text()"
    if kind == "type" and isinstance(value, Instant):
        return "sa.BigInteger()"
    if kind == "type" and (isinstance(value, Word) or type(value).__name__ == "AutoString"):
        return "sa.String()"
    return False


CHECKED_BY_SETS = {"fk_line_share_line_id", "fk_line_share_schedule_id"}
"""Foreign keys that triggers hold on PostgreSQL: see the migration 0009."""


def include_object(_object: Any, name: str | None, kind: str, *_rest: Any) -> bool:
    """The monthly partitions of the usage table are made by the scheduler and are no part of the models."""
    if kind == "foreign_key_constraint" and connection.dialect.name == "postgresql":
        return name not in CHECKED_BY_SETS
    return not (kind == "table" and name is not None and name.startswith("usage_record_"))


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_item=render_item,
    include_object=include_object,
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
