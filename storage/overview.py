"""Counts of what is there, for the demo's and the doctor's summary."""

from sqlalchemy import func
from sqlmodel import Session, select

from storage.tables import UsageRecord, UsageRollup


def usage_record_count(session: Session) -> int:
    """How many usage records are stored, from the rollup: no history is read."""
    return int(session.exec(select(func.coalesce(func.sum(UsageRollup.record_count), 0))).one())


def usage_record_count_from_facts(session: Session) -> int:
    """The same, counted from the records themselves."""
    return int(session.exec(select(func.count()).select_from(UsageRecord)).one())
