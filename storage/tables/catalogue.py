"""What is sold and to whom: seller, metrics, customers, plans with versions and charges, contracts, subscriptions."""

from datetime import date, datetime
from fractions import Fraction
from typing import Any, ClassVar

from sqlalchemy import (
    CheckConstraint,
    Column,
    UniqueConstraint,
)
from sqlmodel import Field

from storage.tables.base import (
    APPROVALS,
    BOUNDARIES,
    CHARGE_TYPES,
    COUPON_RESTS,
    DATINGS,
    INCOMPLETE_RULES,
    METRIC_KINDS,
    SCOPES,
    Table,
    one_of,
)
from storage.types import Exact, Instant, Json, Word


class Seller(Table, table=True):
    """Who issues the invoices; one row."""

    __table_args__: ClassVar[Any] = (CheckConstraint("id = 1", name="one_row"),)
    id: int = Field(default=1, primary_key=True)
    currency: str
    timezone: str
    party: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))
    """Name, country, VAT number, legal id, address, electronic address, IBAN: frozen onto each invoice."""
    accounting: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    """The accounts of journal entries."""


class Metric(Table, table=True):
    __table_args__: ClassVar[Any] = (
        one_of("kind", METRIC_KINDS),
        CheckConstraint("decimals BETWEEN 0 AND 9", name="decimals"),
        one_of("boundary", BOUNDARIES),
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
    expected_seconds: int | None = None
    """An object that sends it and is silent for longer than this has a gap; null: nothing is expected."""
    register_width: int | None = None
    """Digits before the decimal point of a register: after all nines it begins again at 0."""
    maximum_rate: Fraction | None = Field(default=None, sa_type=Exact)
    """What a register may rise in an hour, in the metric's unit; a reading above it is held for review."""
    boundary: str = Field(default="carried", sa_type=Word)
    """The value of a register at the end of a period: the last reading `carried`, or `interpolated`."""
    boundary_tolerance_seconds: int = 0
    """Where it is interpolated: a reading so near to the end is its value."""


class Customer(Table, table=True):
    id: int | None = Field(default=None, primary_key=True)
    reference: str = Field(unique=True)
    currency: str | None = None
    timezone: str | None = None
    party: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))


class Plan(Table, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    commands: dict[str, Any] | None = Field(default=None, sa_column=Column(Json, nullable=True))
    """What its objects are told by themselves, and whether service waits for their answer: no part of a version."""


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
        one_of("scope", SCOPES),
    )
    id: int | None = Field(default=None, primary_key=True)
    plan_version_id: int = Field(foreign_key="plan_version.id")
    position: int
    name: str
    type: str = Field(sa_type=Word)
    metric_id: int | None = Field(default=None, foreign_key="metric.id")
    definition: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))
    scope: str = Field(default="item", sa_type=Word)
    """Whose it is: each contract item's, or one for the whole subscription or contract (a pool)."""


class Contract(Table, table=True):
    __table_args__: ClassVar[Any] = (
        one_of("approval", APPROVALS),
        one_of("dating", DATINGS),
        one_of("incomplete", INCOMPLETE_RULES),
    )
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    """The contract's reference in topics, files and pages."""
    customer_id: int = Field(foreign_key="customer.id", index=True)
    currency: str
    timezone: str
    starts_on: date
    grouping: list[str] = Field(sa_column=Column(Json, nullable=False))
    payment_terms_days: int = 30
    approval: str = Field(default="none", sa_type=Word)
    """`required` when a close leaves drafts, which get their numbers when a person approves them."""
    dating: str = Field(default="period_end", sa_type=Word)
    """The day that an invoice bears: the last of its billing month, or the `issue_day`, on which it got its number."""
    minimum_invoice: Fraction = Field(default=Fraction(0), sa_type=Exact)
    """What an invoice below this total (VAT included, major units) waits for, with what follows."""
    invoicing: str = "contract"
    """`contract`: an invoice of its own; `customer`: one with the customer's other such contracts of the same terms;
    `attribute:NAME`: one for each value of an attribute of its objects."""
    renewal: str = Field(default="none", sa_type=Word)
    """`none` or `automatic`: what the end of a term does to items that are activated without their own word."""
    notice_days: int = 0
    """Days before the end of a term by which notice has to be given."""
    incomplete: str = Field(default="note", sa_type=Word)
    """Of a month in which messages may be missing: its invoice says so (`note`), or waits for a person (`hold`)."""
    revision: int = 0
    """Raised by every change to the items or schedules; a close that planned on another revision plans again."""


class Subscription(Table, table=True):
    """A plan taken inside a contract."""

    __table_args__: ClassVar[Any] = (UniqueConstraint("contract_id", "name"),)
    id: int | None = Field(default=None, primary_key=True)
    contract_id: int = Field(foreign_key="contract.id")
    plan_version_id: int = Field(foreign_key="plan_version.id", index=True)
    name: str


class PlannedVersion(Table, table=True):
    """Another version of its plan that a subscription takes on a day to come."""

    __tablename__ = "planned_version"
    __table_args__: ClassVar[Any] = (UniqueConstraint("subscription_id", "starts_on"),)
    id: int | None = Field(default=None, primary_key=True)
    subscription_id: int = Field(foreign_key="subscription.id")
    plan_version_id: int = Field(foreign_key="plan_version.id")
    starts_on: date


class Coupon(Table, table=True):
    """A fixed amount off the invoices of a contract; once a document took of it, it stays as it is."""

    __table_args__: ClassVar[Any] = (
        UniqueConstraint("contract_id", "name"),
        one_of("rest", COUPON_RESTS),
        CheckConstraint("periods > 0", name="periods"),
    )
    id: int | None = Field(default=None, primary_key=True)
    contract_id: int = Field(foreign_key="contract.id")
    name: str
    amount: Fraction = Field(sa_type=Exact)
    """Of each period, in major units of the contract's currency, net of VAT."""
    periods: int = 1
    """Billing months that it is taken off."""
    subscription: str | None = None
    """The subscription that it is for, or none for the whole contract."""
    rest: str = Field(default="carry", sa_type=Word)
    """What becomes of what a month's invoices are too small for."""
    starts_on: date


class Source(Table, table=True):
    """How messages of one format are read, as it was declared; append-only, and the greatest version is in force."""

    __table_args__: ClassVar[Any] = (UniqueConstraint("name", "version"),)
    id: int | None = Field(default=None, primary_key=True)
    name: str
    version: int
    definition: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))
    """Whole: presets are written out, so that another release reads messages as this one did."""
    created_at: datetime = Field(sa_type=Instant)
