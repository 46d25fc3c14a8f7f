"""What was measured: the facts, their daily rollup, the values of registers at boundaries."""

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
    text,
)
from sqlmodel import Field

from storage.tables.base import QUANTITY_LIMIT, READING_DECISIONS, Table, one_of
from storage.types import Instant, Word

HELD_HERE = text("quality = 'held'")
"""The few register values behind which readings wait for review."""


class IngestCounter(Table, table=True):
    """The last batch number given.

    Its row is locked by every transaction that writes usage, so numbers follow the order of commits, and a close
    that reads it knows that nothing below will still appear.
    """

    __tablename__ = "ingest_counter"
    __table_args__: ClassVar[Any] = (CheckConstraint("id = 1", name="one_row"),)
    id: int = Field(default=1, primary_key=True)
    last_batch: int = Field(default=0, sa_type=BigInteger)


class UsageRecord(Table, table=True):
    """One normalised value of one metric of one object at one time; append-only; the fact that is billed.

    The primary key is the natural key, led by time: it does the dedupe and keeps writes sequential.
    """

    __tablename__ = "usage_record"
    __table_args__: ClassVar[Any] = (
        PrimaryKeyConstraint("occurred_at", "object_id", "metric_id", "discriminator"),
        CheckConstraint(f"quantity BETWEEN -{QUANTITY_LIMIT} AND {QUANTITY_LIMIT}", name="quantity"),
        {"sqlite_with_rowid": False, "postgresql_partition_by": "RANGE (occurred_at)"},
    )
    occurred_at: datetime = Field(sa_type=Instant)
    object_id: int = Field(sa_type=Integer)
    metric_id: int = Field(sa_type=Integer)
    discriminator: str = ""
    """The sender's id (with its position in an array), or empty."""
    quantity: int = Field(sa_type=BigInteger)
    """The value times ten to the power of the metric's decimals."""
    received_at: datetime = Field(sa_type=Instant)
    batch: int = Field(sa_type=BigInteger)
    origin: str
    """`mqtt`, `cli`, `import` or `replay`."""
    unkeyed: int = 0
    """1 for a delta that carried neither an id nor a time: it cannot be told from its repeat."""
    property_set_id: int | None = Field(default=None, sa_type=Integer)
    """What it says beside its value, or None when it says nothing; part of the fact."""


class PropertySet(Table, table=True):
    """Properties that usage records carry (zone, tariff, direction), each set once; written, never changed."""

    __tablename__ = "property_set"
    __table_args__: ClassVar[Any] = (UniqueConstraint("digest"),)
    id: int | None = Field(default=None, primary_key=True)
    digest: str
    """SHA-256 of the content, in hexadecimal."""
    content: str = Field(sa_type=Text)
    """Canonical JSON: names in order, every value a text."""


class UsageReversal(Table, table=True):
    """A record that takes a usage record back; append-only, at most one for each.

    From its batch on, neither counts. The usage record stays where it is, so that its repeat is still a repeat.
    """

    __tablename__ = "usage_reversal"
    __table_args__: ClassVar[Any] = (
        PrimaryKeyConstraint("occurred_at", "object_id", "metric_id", "discriminator"),
        {"sqlite_with_rowid": False},
    )
    occurred_at: datetime = Field(sa_type=Instant)
    object_id: int = Field(sa_type=Integer)
    metric_id: int = Field(sa_type=Integer)
    discriminator: str = ""
    """These four are the key of the usage record that is taken back."""
    batch: int = Field(sa_type=BigInteger)
    reason: str
    replaced_by: str | None = None
    """The discriminator of the usage record that stands in its place, at the same time."""
    replacement: int | None = Field(default=None, sa_type=BigInteger)
    """The quantity of that record."""
    recorded_at: datetime = Field(sa_type=Instant)
    origin: str
    key: str = ""
    """The request id of the command that took it back, or empty."""


class UsageRollup(Table, table=True):
    """All records of one object and metric on one UTC day, added up in the transaction that wrote them.

    Led by the day: what is written lies together. The index led by the object is written once a day and object. No
    index has a column that changes, so that PostgreSQL puts a row's new version beside the old one.
    """

    __tablename__ = "usage_rollup"
    __table_args__: ClassVar[Any] = (
        PrimaryKeyConstraint("day", "object_id", "metric_id"),
        CheckConstraint("quantity_sum BETWEEN -9200000000000000000 AND 9200000000000000000", name="quantity_sum"),
        Index("ix_usage_rollup_object", "object_id", "metric_id", "day"),
        {"sqlite_with_rowid": False},
    )
    object_id: int = Field(sa_type=Integer)
    metric_id: int = Field(sa_type=Integer)
    day: int = Field(sa_type=Integer)
    """Days since 1970-01-01, UTC."""
    record_count: int = Field(sa_type=BigInteger)
    quantity_sum: int = Field(sa_type=BigInteger)
    quantity_max: int = Field(sa_type=BigInteger)
    quantity_min: int = Field(sa_type=BigInteger)
    first_at: datetime = Field(sa_type=Instant)
    first_quantity: int = Field(sa_type=BigInteger)
    last_at: datetime = Field(sa_type=Instant)
    last_quantity: int = Field(sa_type=BigInteger)
    batch: int = Field(sa_type=BigInteger)
    """The last batch that touched this row.

    A row whose records were all taken back has the count 0 and values that any record of the day replaces.
    """


class UsageDay(Table, table=True):
    """A UTC day that has usage: where rollup rows above a mark are, without an index on the batch of each."""

    __tablename__ = "usage_day"
    day: int = Field(sa_type=Integer, primary_key=True)
    """Days since 1970-01-01, UTC."""
    batch: int = Field(sa_type=BigInteger)
    """The last batch that touched a rollup row of this day."""


class BoundaryValue(Table, table=True):
    """What a register stood at, at a period boundary; stored at the close and kept for good."""

    __tablename__ = "boundary_value"
    __table_args__: ClassVar[Any] = (
        PrimaryKeyConstraint("object_id", "metric_id", "at"),
        Index("ix_boundary_value_held", "metric_id", "at", sqlite_where=HELD_HERE, postgresql_where=HELD_HERE),
        {"sqlite_with_rowid": False},
    )
    object_id: int = Field(sa_type=Integer)
    metric_id: int = Field(sa_type=Integer)
    at: datetime = Field(sa_type=Instant)
    quantity: int = Field(sa_type=BigInteger)
    quality: str = Field(sa_type=Word)
    """`estimated` (the last reading carried), `baseline` (the first of all), `held` (the last one that counts)."""


class RegisterEpoch(Table, table=True):
    """Where an object's register begins again, because the hardware was exchanged; scaled readings."""

    __tablename__ = "register_epoch"
    __table_args__: ClassVar[Any] = (
        PrimaryKeyConstraint("object_id", "metric_id", "starts_at"),
        {"sqlite_with_rowid": False},
    )
    object_id: int = Field(sa_type=Integer)
    metric_id: int = Field(sa_type=Integer)
    starts_at: datetime = Field(sa_type=Instant)
    final_quantity: int = Field(sa_type=BigInteger)
    """What the old register stood at when it was taken out."""
    initial_quantity: int | None = Field(default=None, sa_type=BigInteger)
    """What the new register stood at when it was put in; null: its first reading."""


class RegisterMarker(Table, table=True):
    """Where the messages of an object begin to say another word for the register that they read."""

    __tablename__ = "register_marker"
    __table_args__: ClassVar[Any] = (
        PrimaryKeyConstraint("object_id", "metric_id", "first_at"),
        {"sqlite_with_rowid": False},
    )
    object_id: int = Field(sa_type=Integer)
    metric_id: int = Field(sa_type=Integer)
    marker: str
    first_at: datetime = Field(sa_type=Instant)
    """The first reading that bears it, after one that bears another word, or none."""


class ReadingDecision(Table, table=True):
    """What a person decided of readings that were held; append-only."""

    __tablename__ = "reading_decision"
    __table_args__: ClassVar[Any] = (
        one_of("decision", READING_DECISIONS),
        Index("ix_reading_decision_register", "object_id", "metric_id", "at"),
    )
    id: int | None = Field(default=None, primary_key=True)
    object_id: int = Field(foreign_key="connected_object.id")
    metric_id: int = Field(foreign_key="metric.id")
    at: datetime = Field(sa_type=Instant)
    """The reading that was decided of, or the first one."""
    until: datetime | None = Field(default=None, sa_type=Instant)
    """The last one that was rejected with it."""
    decision: str = Field(sa_type=Word)
    """`accept` (it counts), `reject` (they were taken back) or `exchange` (a new register begins with it)."""
    reason: str = ""
    recorded_at: datetime = Field(sa_type=Instant)
    origin: str
    key: str = ""
    """The request id of the command, or empty."""


class MessageInbox(Table, table=True):
    """The time first given to a message that has an id but no time of its own, so that its repeat is recognised."""

    __tablename__ = "message_inbox"
    __table_args__: ClassVar[Any] = (
        PrimaryKeyConstraint("object_id", "sender_id"),
        Index("ix_message_inbox_received_at", "received_at"),
        {"sqlite_with_rowid": False},
    )
    object_id: int = Field(sa_type=Integer)
    sender_id: str
    occurred_at: datetime = Field(sa_type=Instant)
    received_at: datetime = Field(sa_type=Instant)


class ArchivedMonth(Table, table=True):
    """A UTC month whose usage records were detached: they are in a table of their own, the rollup stays."""

    __tablename__ = "archived_month"
    month_starts_on: date = Field(primary_key=True)
    archived_at: datetime = Field(sa_type=Instant)
