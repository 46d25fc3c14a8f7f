"""The tables. Wire data is validated before it gets here; what must hold for good is a constraint here.

Instants are microseconds since 1970 UTC; `_on` columns are local dates; ends are exclusive; amounts in minor
units end in `_minor`; other money and quantities are exact rationals; usage is a scaled integer.
"""

from datetime import date, datetime
from fractions import Fraction
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
)
from sqlmodel import Field, SQLModel

from storage.types import Exact, Instant, Json, Word

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
SQLModel.metadata.naming_convention = NAMING

QUANTITY_LIMIT = 10**17
"""Largest scaled quantity of one record: 92 of them still fit a 64-bit daily sum; the rollup's CHECK stops the 93rd."""


def one_of(column: str, words: tuple[str, ...]) -> CheckConstraint:
    """A CHECK that `column` holds one of `words`."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(word) for word in words)})", name=column)


METRIC_KINDS = ("delta", "cumulative", "gauge", "state")
OBJECT_STATUSES = ("draft", "pending", "active", "suspended", "terminated")
SCHEDULE_STATUSES = ("planned", "valued", "invoiced", "settled", "cancelled")
ITEM_STATUSES = ("running", "ended", "terminated", "replaced", "cancelled")
RENEWALS = ("none", "automatic")
INVOICE_STATUSES = ("draft", "issued")
INVOICE_KINDS = ("invoice", "credit_note")
QUARANTINE_STATUSES = ("waiting", "replayed", "discarded")
OUTBOX_STATUSES = ("waiting", "sent", "expired")
GAP_REASONS = ("session_lost",)
CHARGE_TYPES = ("one_time", "recurring", "usage", "event")


class Table(SQLModel):
    """What all tables share: nothing but the metadata."""


# --- catalogue ---------------------------------------------------------------------------------------------


class Seller(Table, table=True):
    """Who issues the invoices; one row."""

    __table_args__: ClassVar[Any] = (CheckConstraint("id = 1", name="one_row"),)
    id: int = Field(default=1, primary_key=True)
    currency: str
    timezone: str
    party: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))
    """Name, country, VAT number, legal id, address, electronic address, IBAN: frozen onto each invoice."""


class Metric(Table, table=True):
    __table_args__: ClassVar[Any] = (
        one_of("kind", METRIC_KINDS),
        CheckConstraint("decimals BETWEEN 0 AND 9", name="decimals"),
    )
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    unit: str
    unit_code: str = "C62"
    """UN/ECE Recommendation 20 code; C62 is "one"."""
    kind: str = Field(sa_type=Word)
    decimals: int = 6
    excess_digits: str = Field(default="round", sa_type=Word)
    """`round` (half away from zero, once, at the door) or `refuse`."""


class Customer(Table, table=True):
    id: int | None = Field(default=None, primary_key=True)
    reference: str = Field(unique=True)
    currency: str | None = None
    timezone: str | None = None
    party: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))


class Plan(Table, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)


class PlanVersion(Table, table=True):
    """A plan's charges as they were declared; never changed once a subscription uses it."""

    __tablename__ = "plan_version"
    __table_args__: ClassVar[Any] = (UniqueConstraint("plan_id", "version"),)
    id: int | None = Field(default=None, primary_key=True)
    plan_id: int = Field(foreign_key="plan.id", index=True)
    version: int
    definition: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))
    created_at: datetime = Field(sa_type=Instant)


class Charge(Table, table=True):
    """One priced part of a plan version; `definition` is the validated catalogue entry of the charge."""

    __table_args__: ClassVar[Any] = (
        UniqueConstraint("plan_version_id", "name"),
        UniqueConstraint("plan_version_id", "position"),
        one_of("type", CHARGE_TYPES),
    )
    id: int | None = Field(default=None, primary_key=True)
    plan_version_id: int = Field(foreign_key="plan_version.id")
    position: int
    name: str
    type: str = Field(sa_type=Word)
    metric_id: int | None = Field(default=None, foreign_key="metric.id")
    definition: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))


class Contract(Table, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    """The contract's reference in topics, files and pages."""
    customer_id: int = Field(foreign_key="customer.id", index=True)
    currency: str
    timezone: str
    starts_on: date
    grouping: list[str] = Field(sa_column=Column(Json, nullable=False))
    payment_terms_days: int = 30
    renewal: str = Field(default="none", sa_type=Word)
    """`none` or `automatic`: what the end of a term does to items that are activated without their own word."""
    notice_days: int = 0
    """Days before the end of a term by which notice has to be given."""
    revision: int = 0
    """Raised by every change to the items or schedules; a close that planned on another revision plans again."""


class Subscription(Table, table=True):
    """A plan taken inside a contract."""

    __table_args__: ClassVar[Any] = (UniqueConstraint("contract_id", "name"),)
    id: int | None = Field(default=None, primary_key=True)
    contract_id: int = Field(foreign_key="contract.id")
    plan_version_id: int = Field(foreign_key="plan_version.id", index=True)
    name: str


# --- registry ----------------------------------------------------------------------------------------------


class ConnectedObject(Table, table=True):
    __tablename__ = "connected_object"
    __table_args__: ClassVar[Any] = (
        one_of("status", OBJECT_STATUSES),
        CheckConstraint("length(reference) BETWEEN 1 AND 128", name="reference"),
    )
    id: int | None = Field(default=None, primary_key=True)
    reference: str = Field(unique=True)
    kind: str = ""
    status: str = Field(sa_type=Word, index=True)
    attributes: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    customer_id: int | None = Field(default=None, foreign_key="customer.id", index=True)
    contract_id: int | None = Field(default=None, foreign_key="contract.id", index=True)
    subscription_id: int | None = Field(default=None, foreign_key="subscription.id", index=True)
    created_at: datetime = Field(sa_type=Instant)


class ObjectEvent(Table, table=True):
    """A fact on an object's timeline; append-only. The unique key makes a repeat the same event."""

    __tablename__ = "object_event"
    __table_args__: ClassVar[Any] = (UniqueConstraint("object_id", "occurred_at", "kind", "key"),)
    id: int | None = Field(default=None, primary_key=True)
    object_id: int = Field(foreign_key="connected_object.id")
    kind: str
    occurred_at: datetime = Field(sa_type=Instant)
    recorded_at: datetime = Field(sa_type=Instant)
    key: str = ""
    """The sender's id of the event, or the request id of the command that made it, or empty."""
    origin: str
    """Who said so: `mqtt`, `control`, `cli`, `import`, `engine`."""
    detail: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))


class ObjectPresence(Table, table=True):
    """When an object was last heard and whether it is online; apart from the registry, since every message moves it."""

    __tablename__ = "object_presence"
    object_id: int = Field(primary_key=True, foreign_key="connected_object.id")
    last_seen_at: datetime = Field(sa_type=Instant)
    online: bool | None = None
    online_since: datetime | None = Field(default=None, sa_type=Instant)


class ContractItem(Table, table=True):
    """One object on one subscription over the local days `[starts_on, ends_on)`."""

    __tablename__ = "contract_item"
    __table_args__: ClassVar[Any] = (
        CheckConstraint("starts_on < ends_on", name="term"),
        one_of("status", ITEM_STATUSES),
        one_of("renewal", RENEWALS),
        Index(
            "uq_contract_item_start",
            "subscription_id",
            "object_id",
            "starts_on",
            unique=True,
            sqlite_where=Column("status") != "cancelled",
            postgresql_where=Column("status") != "cancelled",
        ),
        Index("ix_contract_item_object_id", "object_id"),
        Index("ix_contract_item_contract_id", "contract_id"),
        Index("ix_contract_item_status_end_at", "status", "end_at"),
    )
    id: int | None = Field(default=None, primary_key=True)
    name: str
    contract_id: int = Field(foreign_key="contract.id")
    subscription_id: int = Field(foreign_key="subscription.id")
    object_id: int = Field(foreign_key="connected_object.id")
    plan_version_id: int = Field(foreign_key="plan_version.id")
    status: str = Field(default="running", sa_type=Word)
    term_months: int
    starts_on: date
    ends_on: date
    start_at: datetime = Field(sa_type=Instant)
    end_at: datetime = Field(sa_type=Instant)
    follows_id: int | None = Field(default=None, foreign_key="contract_item.id")
    """The item that this one continues, after a change of plan or price, or a transfer."""
    term_starts_on: date | None = None
    """Where terms are counted from, when it is not the item's own start: terms of a line do not drift."""
    fees_until: date | None = None
    """Set when the service ended early but fees are owed to here, the end of the term."""
    renewal: str = Field(default="none", sa_type=Word)
    notice_days: int = 0
    notice_on: date | None = None
    """The day on which notice was given: no term that ends `notice_days` later or after is renewed."""


class Suspension(Table, table=True):
    """Local days `[starts_on, ends_on)` on which an item is suspended; open while `ends_on` is null."""

    __table_args__: ClassVar[Any] = (
        UniqueConstraint("contract_item_id", "starts_on"),
        CheckConstraint("ends_on IS NULL OR starts_on <= ends_on", name="span"),
    )
    id: int | None = Field(default=None, primary_key=True)
    contract_item_id: int = Field(foreign_key="contract_item.id")
    starts_on: date
    ends_on: date | None = None


class InvoicingSchedule(Table, table=True):
    """One charge over one period. `quantity` and `amount` are its worth when it was last valued; planned at 0."""

    __tablename__ = "invoicing_schedule"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("contract_item_id", "charge_id", "starts_on"),
        CheckConstraint("starts_on < ends_on", name="period"),
        one_of("status", SCHEDULE_STATUSES),
        Index("ix_invoicing_schedule_due", "contract_id", "status", "due_on"),
        Index("ix_invoicing_schedule_object", "object_id", "metric_id", "start_at"),
        Index(
            "ix_invoicing_schedule_revalue",
            "contract_id",
            sqlite_where=Column("revalue") == 1,
            postgresql_where=Column("revalue") == 1,
        ),
    )
    id: int | None = Field(default=None, primary_key=True)
    contract_id: int = Field(foreign_key="contract.id")
    subscription_id: int = Field(foreign_key="subscription.id")
    contract_item_id: int | None = Field(default=None, foreign_key="contract_item.id")
    object_id: int | None = Field(default=None, foreign_key="connected_object.id")
    charge_id: int = Field(foreign_key="charge.id")
    metric_id: int | None = Field(default=None, foreign_key="metric.id")
    """The metric of a usage charge, null for a fee: what joins a schedule to its usage."""
    starts_on: date
    ends_on: date
    nominal_starts_on: date
    nominal_ends_on: date
    """The full period that the schedule is a part of: the denominator of proration, and a grouping key."""
    start_at: datetime = Field(sa_type=Instant)
    end_at: datetime = Field(sa_type=Instant)
    due_on: date
    status: str = Field(default="planned", sa_type=Word)
    revalue: int = 0
    """1 when its worth may have changed since it was invoiced or settled; the next close looks at it."""
    quantity: Fraction = Field(default=Fraction(0), sa_type=Exact)
    amount: Fraction = Field(default=Fraction(0), sa_type=Exact)


# --- usage -------------------------------------------------------------------------------------------------


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


class UsageRollup(Table, table=True):
    """All records of one object and metric on one UTC day, added up in the transaction that wrote them.

    Led by the day: what is written lies together. The index led by the object is written once a day and object.
    """

    __tablename__ = "usage_rollup"
    __table_args__: ClassVar[Any] = (
        PrimaryKeyConstraint("day", "object_id", "metric_id"),
        CheckConstraint("quantity_sum BETWEEN -9200000000000000000 AND 9200000000000000000", name="quantity_sum"),
        Index("ix_usage_rollup_batch", "batch"),
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
    """The last batch that touched this row."""


class BoundaryValue(Table, table=True):
    """What a register stood at, at a period boundary; stored at the close and kept for good."""

    __tablename__ = "boundary_value"
    __table_args__: ClassVar[Any] = (
        PrimaryKeyConstraint("object_id", "metric_id", "at"),
        {"sqlite_with_rowid": False},
    )
    object_id: int = Field(sa_type=Integer)
    metric_id: int = Field(sa_type=Integer)
    at: datetime = Field(sa_type=Instant)
    quantity: int = Field(sa_type=BigInteger)
    quality: str = Field(sa_type=Word)
    """`reading` (at the boundary itself), `estimated` (the last reading carried), `baseline` (the first of all)."""


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
    initial_quantity: int = Field(sa_type=BigInteger)
    """What the new register stood at when it was put in."""


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


class ArchivedMonth(Table, table=True):
    """A UTC month whose usage records were detached: they are in a table of their own, the rollup stays."""

    __tablename__ = "archived_month"
    month_starts_on: date = Field(primary_key=True)
    archived_at: datetime = Field(sa_type=Instant)


class Quarantine(Table, table=True):
    """A refused message, whole, with its reason."""

    __table_args__: ClassVar[Any] = (
        one_of("status", QUARANTINE_STATUSES),
        Index("ix_quarantine_status_reason", "status", "reason"),
    )
    id: int | None = Field(default=None, primary_key=True)
    topic: str = Field(sa_type=Text)
    payload: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    retained: int = 0
    received_at: datetime = Field(sa_type=Instant)
    reason: str
    detail: str = Field(sa_type=Text)
    object_reference: str | None = None
    status: str = Field(default="waiting", sa_type=Word)
    resolved_at: datetime | None = Field(default=None, sa_type=Instant)


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


class ReceptionGap(Table, table=True):
    """A time in which the broker may have taken messages that never came; a fact for people, never changed."""

    __tablename__ = "reception_gap"
    __table_args__: ClassVar[Any] = (
        one_of("reason", GAP_REASONS),
        CheckConstraint("starts_at <= ends_at", name="order"),
    )
    id: int | None = Field(default=None, primary_key=True)
    client_id: str
    broker: str
    starts_at: datetime = Field(sa_type=Instant)
    ends_at: datetime = Field(sa_type=Instant)
    reason: str


# --- commands and what leaves ------------------------------------------------------------------------------


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


# --- closing and invoices ----------------------------------------------------------------------------------


class BillingMonth(Table, table=True):
    """A month of a contract that was closed, once; with or without an invoice."""

    __tablename__ = "billing_month"
    __table_args__: ClassVar[Any] = (PrimaryKeyConstraint("contract_id", "month_starts_on"),)
    contract_id: int = Field(foreign_key="contract.id")
    month_starts_on: date
    usage_mark: int = Field(sa_type=BigInteger)
    """The last ingest batch that this close saw; usage above it is late for the schedules that it invoiced."""
    closed_at: datetime = Field(sa_type=Instant)


class NumberSeries(Table, table=True):
    """The last number of a series, locked in the issuing transaction: no gap, no repeat."""

    __tablename__ = "number_series"
    name: str = Field(primary_key=True)
    last_number: int


class Invoice(Table, table=True):
    """The numbered, frozen document: parties are copied onto it. A credit note states positive amounts."""

    __table_args__: ClassVar[Any] = (
        one_of("status", INVOICE_STATUSES),
        one_of("kind", INVOICE_KINDS),
        CheckConstraint("(number IS NULL) = (status = 'draft')", name="number"),
        CheckConstraint("net_minor + vat_minor = gross_minor", name="total"),
        UniqueConstraint("contract_id", "month_starts_on", "kind"),
    )
    id: int | None = Field(default=None, primary_key=True)
    number: str | None = Field(default=None, unique=True)
    kind: str = Field(sa_type=Word)
    status: str = Field(sa_type=Word)
    contract_id: int = Field(foreign_key="contract.id")
    customer_id: int = Field(foreign_key="customer.id", index=True)
    month_starts_on: date
    month_ends_on: date
    issued_on: date
    due_on: date
    currency: str
    minor_digits: int
    """Decimals of the currency's minor unit (ISO 4217): 2 for EUR, 0 for JPY."""
    net_minor: int = Field(sa_type=BigInteger)
    vat_minor: int = Field(sa_type=BigInteger)
    gross_minor: int = Field(sa_type=BigInteger)
    seller: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))
    buyer: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))
    corrects: list[str] = Field(default_factory=list, sa_column=Column(Json, nullable=False))
    """Numbers of the invoices that a credit note corrects."""
    issued_at: datetime = Field(sa_type=Instant)


class InvoiceLine(Table, table=True):
    """One priced component, grouped over many schedules, rounded once."""

    __tablename__ = "invoice_line"
    __table_args__: ClassVar[Any] = (UniqueConstraint("invoice_id", "position"),)
    id: int | None = Field(default=None, primary_key=True)
    invoice_id: int = Field(foreign_key="invoice.id")
    position: int
    label: str
    subscription_name: str
    charge_name: str
    component: str
    group_values: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    """What the contract's grouping added: an attribute's value, an object's reference."""
    period_starts_on: date
    period_ends_on: date
    adjustment: int = 0
    quantity: Fraction = Field(sa_type=Exact)
    unit: str
    unit_code: str
    unit_price: Fraction = Field(sa_type=Exact)
    vat_category: str
    vat_rate: Fraction = Field(sa_type=Exact)
    """In percent: 20 means 20 %."""
    amount: Fraction = Field(sa_type=Exact)
    """The exact sum of its shares, before rounding."""
    net_minor: int = Field(sa_type=BigInteger)
    object_count: int


class InvoiceVat(Table, table=True):
    """VAT once per category and rate on the invoice (EN 16931, BG-23)."""

    __tablename__ = "invoice_vat"
    __table_args__: ClassVar[Any] = (PrimaryKeyConstraint("invoice_id", "category", "rate"),)
    invoice_id: int = Field(foreign_key="invoice.id")
    category: str
    rate: Fraction = Field(sa_type=Exact)
    base_minor: int = Field(sa_type=BigInteger)
    vat_minor: int = Field(sa_type=BigInteger)


class LineShare(Table, table=True):
    """What one schedule put on one line: the row behind the extraction, and the memory of what was charged."""

    __tablename__ = "line_share"
    __table_args__: ClassVar[Any] = (
        PrimaryKeyConstraint("line_id", "schedule_id"),
        Index("ix_line_share_schedule_id", "schedule_id"),
        {"sqlite_with_rowid": False},
    )
    line_id: int = Field(sa_column=Column(Integer, ForeignKey("invoice_line.id"), nullable=False))
    schedule_id: int = Field(sa_column=Column(Integer, ForeignKey("invoicing_schedule.id"), nullable=False))
    quantity: Fraction = Field(sa_type=Exact)
    amount: Fraction = Field(sa_type=Exact)
    share_minor: int = Field(sa_type=BigInteger)
    """The schedule's part of the line's rounded amount; the parts add up to the line."""


class Payment(Table, table=True):
    """Money that was received for an invoice, or paid out for a credit note; recorded once per reference."""

    __table_args__: ClassVar[Any] = (
        UniqueConstraint("invoice_id", "reference"),
        CheckConstraint("amount_minor > 0", name="amount"),
    )
    id: int | None = Field(default=None, primary_key=True)
    invoice_id: int = Field(foreign_key="invoice.id")
    paid_on: date
    amount_minor: int = Field(sa_type=BigInteger)
    reference: str
    """The payer's or the bank's own word for it: what makes a repeat recognisable."""
    origin: str
    recorded_at: datetime = Field(sa_type=Instant)
