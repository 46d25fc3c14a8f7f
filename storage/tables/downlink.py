"""What is told to connected objects: commands, and what became of them."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column, Index, Text, UniqueConstraint
from sqlmodel import Field

from storage.tables.base import COMMAND_STATUSES, Table, one_of
from storage.types import Instant, Json, Word


class DeviceCommand(Table, table=True):
    """A command to an object: its request id is its own among all that the object was told."""

    __tablename__ = "device_command"
    __table_args__: ClassVar[Any] = (
        one_of("status", COMMAND_STATUSES),
        UniqueConstraint("object_id", "request_id"),
        Index("ix_device_command_waits_until", "waits_until"),
    )
    id: int | None = Field(default=None, primary_key=True)
    object_id: int = Field(foreign_key="connected_object.id")
    request_id: str
    name: str
    body: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    status: str = Field(default="requested", sa_type=Word)
    origin: str
    requested_at: datetime = Field(sa_type=Instant)
    expires_at: datetime = Field(sa_type=Instant)
    waits_until: datetime | None = Field(default=None, sa_type=Instant)
    """Its expiry for as long as anything can still become of it; null once it is settled."""
    sent_at: datetime | None = Field(default=None, sa_type=Instant)
    answered_at: datetime | None = Field(default=None, sa_type=Instant)
    """When the answer that settled it was received."""
    reason: str | None = Field(default=None, sa_type=Text)
    """Why the object refused it, in its words."""
    wire_id: str | None = None
    """The id that the object answers with, where its format cannot carry the request id."""
    route: str = ""
    """SOURCE/PLACE of the declaration that carried it; empty for our own topics."""
    answers: int = 1
    """0 where the format has no answers: it is then settled once it was sent."""
    purpose: dict[str, Any] | None = Field(default=None, sa_column=Column(Json, nullable=True))
    """What its acknowledgement brings about; null for nothing but the event."""


class DeviceAddress(Table, table=True):
    """Through which source an object speaks, and what stood for the wildcards of its topic: where it listens too."""

    __tablename__ = "device_address"
    object_id: int = Field(primary_key=True, foreign_key="connected_object.id")
    source: str
    captures: dict[str, str] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    recorded_at: datetime = Field(sa_type=Instant)


class PresenceReport(Table, table=True):
    """A report of presence where short changes are no events: it is decided when nothing can come between any more."""

    __tablename__ = "presence_report"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("object_id", "occurred_at", "kind", "key"),
        Index("ix_presence_report_waits_until", "waits_until"),
    )
    id: int | None = Field(default=None, primary_key=True)
    object_id: int = Field(foreign_key="connected_object.id")
    occurred_at: datetime = Field(sa_type=Instant)
    kind: str
    key: str = ""
    origin: str
    detail: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    recorded_at: datetime = Field(sa_type=Instant)
    waits_until: datetime | None = Field(default=None, sa_type=Instant)
    """When it is to be decided; null once it is."""
