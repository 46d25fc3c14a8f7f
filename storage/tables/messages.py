"""What came in and goes out: ingest members, broker sessions and gaps, quarantine, control requests, the outbox."""

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Text,
)
from sqlmodel import Field

from storage.tables.base import GAP_CLEARINGS, GAP_REASONS, OUTBOX_STATUSES, QUARANTINE_STATUSES, Table, one_of
from storage.types import Instant, Json, Word


class IngestMember(Table, table=True):
    """A process that takes usage in beside others, and when it was last heard."""

    __tablename__ = "ingest_member"
    client_id: str = Field(primary_key=True)
    host: str
    pid: int
    started_at: datetime = Field(sa_type=Instant)
    heartbeat_at: datetime = Field(sa_type=Instant)
    messages: int = Field(default=0, sa_type=BigInteger)
    """Committed by it, over all its starts."""
    last_batch_at: datetime | None = Field(default=None, sa_type=Instant)
    """The heartbeat that last found messages committed."""
    stopped_at: datetime | None = Field(default=None, sa_type=Instant)
    """Set when it ended as it was told to."""


class Quarantine(Table, table=True):
    """A refused message, whole, with its reason."""

    __table_args__: ClassVar[Any] = (
        one_of("status", QUARANTINE_STATUSES),
        Index("ix_quarantine_status_reason", "status", "reason"),
        Index("ix_quarantine_object_reference", "object_reference"),
    )
    id: int | None = Field(default=None, primary_key=True)
    topic: str = Field(sa_type=Text)
    payload: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    retained: int = 0
    received_at: datetime = Field(sa_type=Instant)
    reason: str
    detail: str = Field(sa_type=Text)
    object_reference: str | None = None
    source: str | None = None
    """The source that read it, or would have; null for our own topics."""
    part: str | None = None
    """Of a message for several objects, the one whose part was refused: the others' parts are in."""
    properties: dict[str, Any] | None = Field(default=None, sa_column=Column(Json, nullable=True))
    """Under MQTT 5, the content type and the user properties that came with it, where it had any."""
    status: str = Field(default="waiting", sa_type=Word)
    resolved_at: datetime | None = Field(default=None, sa_type=Instant)


class QuarantineState(Table, table=True):
    """How many bytes of payloads the quarantine holds, and how many it may; one row."""

    __tablename__ = "quarantine_state"
    __table_args__: ClassVar[Any] = (CheckConstraint("id = 1", name="one_row"),)
    id: int = Field(default=1, primary_key=True)
    size_bytes: int = Field(default=0, sa_type=BigInteger)
    limit_bytes: int = Field(sa_type=BigInteger)


class QuarantineOverflow(Table, table=True):
    """Refused messages that were counted and not kept, because those that wait had filled the quarantine."""

    __tablename__ = "quarantine_overflow"
    __table_args__: ClassVar[Any] = (PrimaryKeyConstraint("day", "reason", "source"),)
    day: date
    reason: str
    source: str
    messages: int = Field(sa_type=BigInteger)
    first_at: datetime = Field(sa_type=Instant)
    last_at: datetime = Field(sa_type=Instant)


class SparkplugBirth(Table, table=True):
    """What the last birth of an edge node, or of a device behind it, said of its metrics."""

    __tablename__ = "sparkplug_birth"
    node: str = Field(primary_key=True)
    """SOURCE/GROUP/EDGE/DEVICE, the last one empty for the edge node."""
    content: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))
    revision: int
    recorded_at: datetime = Field(sa_type=Instant)


class SparkplugFormerBirth(Table, table=True):
    """What a birth said until another one of its node arrived: what waits from before is named by it."""

    __tablename__ = "sparkplug_former_birth"
    __table_args__: ClassVar[Any] = (PrimaryKeyConstraint("node", "until_at"),)
    node: str
    until_at: datetime = Field(sa_type=Instant)
    content: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))


class BrokerSession(Table, table=True):
    """The broker is known to keep a session for this client: what it does not keep any more is a gap."""

    __tablename__ = "broker_session"
    __table_args__: ClassVar[Any] = (PrimaryKeyConstraint("client_id", "broker"),)
    client_id: str
    broker: str
    """Host and port, without user and password."""
    established_at: datetime = Field(sa_type=Instant)
    held_at: datetime = Field(sa_type=Instant)
    """When the session last stood with all that it had for us stored: noted now and then while it lasts."""
    dropped: int | None = Field(default=None, sa_type=BigInteger)
    """How many messages the broker said it had dropped since it was started, when it last said so."""
    dropped_at: datetime | None = Field(default=None, sa_type=Instant)


class ReceptionGap(Table, table=True):
    """A time in which messages may have been lost: of all objects, or of one; a fact, to which only its end is added.

    The periods that it touches are possibly incomplete until it is cleared.
    """

    __tablename__ = "reception_gap"
    __table_args__: ClassVar[Any] = (
        one_of("reason", GAP_REASONS),
        one_of("cleared_by", GAP_CLEARINGS),
        CheckConstraint("ends_at IS NULL OR starts_at <= ends_at", name="order"),
        Index("ix_reception_gap_object", "object_id", "metric_id", "starts_at"),
        Index(
            "ix_reception_gap_open",
            "starts_at",
            sqlite_where=Column("cleared_at").is_(None),
            postgresql_where=Column("cleared_at").is_(None),
        ),
    )
    id: int | None = Field(default=None, primary_key=True)
    reason: str
    object_id: int | None = Field(default=None, foreign_key="connected_object.id")
    """The one object whose messages may be missing; null for all of them."""
    metric_id: int | None = Field(default=None, foreign_key="metric.id")
    """The one metric that may be missing; null for all of them."""
    client_id: str = ""
    broker: str = ""
    source: str = ""
    """The source whose numbers jumped."""
    starts_at: datetime = Field(sa_type=Instant)
    ends_at: datetime | None = Field(default=None, sa_type=Instant)
    """Null while it lasts."""
    lost: int | None = Field(default=None, sa_type=BigInteger)
    """How many messages are missing, where that is known."""
    missing: list[Any] = Field(default_factory=list, sa_column=Column(Json, nullable=False))
    """First and last of each run of numbers that did not come."""
    looked_at: int | None = Field(default=None, sa_type=BigInteger)
    """The records that were there when the silence was last looked at."""
    recorded_at: datetime = Field(sa_type=Instant)
    cleared_at: datetime | None = Field(default=None, sa_type=Instant)
    cleared_by: str | None = None
    """`register`: the next reading covers it; `arrived`: what was missing came; `accepted`: by a person."""
    cleared_why: str = Field(default="", sa_type=Text)


class MessageSequence(Table, table=True):
    """The last number that an object's messages of one source carried."""

    __tablename__ = "message_sequence"
    __table_args__: ClassVar[Any] = (PrimaryKeyConstraint("object_id", "source"),)
    object_id: int = Field(foreign_key="connected_object.id")
    source: str
    number: int = Field(sa_type=BigInteger)
    at: datetime = Field(sa_type=Instant)
    """When the message with it was sent, or came where it does not say."""


class ControlRequest(Table, table=True):
    """A command that was answered: its repeat gets `reply` again, the same id with another body is a conflict."""

    __tablename__ = "control_request"
    __table_args__: ClassVar[Any] = (PrimaryKeyConstraint("object_reference", "command", "request_id"),)
    object_reference: str
    command: str
    request_id: str
    body_hash: str
    reply: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))
    recorded_at: datetime = Field(sa_type=Instant)


class Outbox(Table, table=True):
    """What must leave, written in the transaction that decided it; published afterwards, in order of id."""

    __table_args__: ClassVar[Any] = (
        one_of("status", OUTBOX_STATUSES),
        Index("ix_outbox_status_id", "status", "id"),
    )
    id: int | None = Field(default=None, primary_key=True)
    topic: str = Field(sa_type=Text)
    payload: str = Field(sa_type=Text)
    retain: int = 0
    correlation_data: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    created_at: datetime = Field(sa_type=Instant)
    expires_at: datetime | None = Field(default=None, sa_type=Instant)
    status: str = Field(default="waiting", sa_type=Word)
    sent_at: datetime | None = Field(default=None, sa_type=Instant)
    device_command_id: int | None = None
    """The command to an object that it carries, if any."""
