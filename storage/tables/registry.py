"""The objects, what happened to them, and what they owe: events, contract items, suspensions, schedules."""

from datetime import date, datetime
from fractions import Fraction
from typing import Any, ClassVar

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    UniqueConstraint,
    text,
)
from sqlmodel import Field

from storage.tables.base import (
    ITEM_STATUSES,
    OBJECT_STATUSES,
    OPEN_STATUSES,
    RENEWALS,
    SCHEDULE_STATUSES,
    Table,
    one_of,
)
from storage.types import Exact, Instant, Json, Word


class ConnectedObject(Table, table=True):
    __tablename__ = "connected_object"
    __table_args__: ClassVar[Any] = (
        one_of("status", OBJECT_STATUSES),
        CheckConstraint("length(reference) BETWEEN 1 AND 128", name="reference"),
        Index("ix_connected_object_status_reference", "status", "reference"),
        Index("ix_connected_object_customer_id_reference", "customer_id", "reference"),
        Index("ix_connected_object_contract_id_reference", "contract_id", "reference"),
        Index("ix_connected_object_subscription_id_reference", "subscription_id", "reference"),
    )
    id: int | None = Field(default=None, primary_key=True)
    reference: str = Field(unique=True)
    kind: str = ""
    status: str = Field(sa_type=Word)
    attributes: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    customer_id: int | None = Field(default=None, foreign_key="customer.id")
    contract_id: int | None = Field(default=None, foreign_key="contract.id")
    subscription_id: int | None = Field(default=None, foreign_key="subscription.id")
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
    silent_since: datetime | None = Field(default=None, sa_type=Instant)
    """Set while it counts as offline because nothing came from it."""


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
        CheckConstraint("starts_on < ends_on", name="period"),
        one_of("status", SCHEDULE_STATUSES),
        # One index finds the schedules of an object by their time and keeps an item's from being planned twice: a close
        # writes every index of every schedule that it charges.
        Index("uq_invoicing_schedule_item", "object_id", "start_at", "charge_id", "contract_item_id", unique=True),
        Index(
            "uq_invoicing_schedule_pool",
            "subscription_id",
            "charge_id",
            "nominal_starts_on",
            unique=True,
            sqlite_where=Column("contract_item_id").is_(None),
            postgresql_where=Column("contract_item_id").is_(None),
        ),
        Index(
            "ix_invoicing_schedule_due",
            "contract_id",
            "due_on",
            sqlite_where=text(f"status IN {OPEN_STATUSES}"),
            postgresql_where=text(f"status IN {OPEN_STATUSES}"),
        ),
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
