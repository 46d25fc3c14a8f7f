"""What is over and done with, and only kept to be looked at or to answer a repeat: deleted after a while.

The law: nothing that waits is deleted, and nothing that money or the timeline of an object rests on.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlmodel import Session

from storage.types import to_micros


class Kept(NamedTuple):
    """A table whose rows are over once `when` holds, from the instant in `column` on."""

    table: str
    column: str
    when: str


KEPT = (
    Kept("control_request", "recorded_at", "1 = 1"),
    Kept("outbox", "created_at", "status <> 'waiting'"),
    Kept("device_command", "expires_at", "waits_until IS NULL"),
    Kept("webhook_delivery", "created_at", "status <> 'waiting'"),
    Kept("close_run", "started_at", "status <> 'running'"),
    Kept("presence_report", "recorded_at", "waits_until IS NULL"),
)


def tidy(session: Session, *, before: datetime) -> int:
    """Delete what was over before an instant; how many rows."""
    gone = 0
    for kept in KEPT:
        statement = text(f"DELETE FROM {kept.table} WHERE {kept.when} AND {kept.column} < :before")
        gone += session.connection().execute(statement, {"before": to_micros(before)}).rowcount
    return gone
