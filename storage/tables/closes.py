"""Closes that were asked for from afar: who asked, how far each is, what it came to."""

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import Column, Index
from sqlmodel import Field

from storage.tables.base import CLOSE_STATUSES, Table, one_of
from storage.types import Instant, Json, Word


class CloseRun(Table, table=True):
    """A close that somebody started over HTTP: one is running at a time, and its report stays."""

    __tablename__ = "close_run"
    __table_args__: ClassVar[Any] = (
        one_of("status", CLOSE_STATUSES),
        Index(
            "uq_close_run_running",
            "status",
            unique=True,
            sqlite_where=Column("status") == "running",
            postgresql_where=Column("status") == "running",
        ),
    )
    id: int | None = Field(default=None, primary_key=True)
    until: date
    asked_by: str
    months_due: int = 0
    """Months of contracts that were open when it began."""
    status: str = Field(default="running", sa_type=Word)
    started_at: datetime = Field(sa_type=Instant)
    heard_at: datetime = Field(sa_type=Instant)
    """When the process that does it was last at it."""
    finished_at: datetime | None = Field(default=None, sa_type=Instant)
    message: str = ""
    """Why it failed."""
    report: dict[str, Any] | None = Field(default=None, sa_column=Column(Json, nullable=True))
