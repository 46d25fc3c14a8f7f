"""What was billed: closed months, number series, invoices with lines, tax and shares, payments."""

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
    UniqueConstraint,
)
from sqlmodel import Field

from storage.tables.base import DOCUMENT_FORMS, INVOICE_KINDS, INVOICE_PURPOSES, INVOICE_STATUSES, Table, one_of
from storage.types import Exact, Instant, Json, Word


class BillingMonth(Table, table=True):
    """A month of a contract that was closed, once; with or without an invoice."""

    __tablename__ = "billing_month"
    __table_args__: ClassVar[Any] = (PrimaryKeyConstraint("contract_id", "month_starts_on"),)
    contract_id: int = Field(foreign_key="contract.id")
    month_starts_on: date
    usage_mark: int = Field(sa_type=BigInteger)
    """The last ingest batch that this close saw; usage above it is late for the schedules that it invoiced."""
    closed_at: datetime = Field(sa_type=Instant)


class DraftMonth(Table, table=True):
    """A month of a contract whose drafts wait for approval: what approving it will write, as the close decided it."""

    __tablename__ = "draft_month"
    __table_args__: ClassVar[Any] = (PrimaryKeyConstraint("contract_id", "month_starts_on"),)
    contract_id: int = Field(foreign_key="contract.id")
    month_starts_on: date
    lead_id: int
    """The contract that the drafts are named after: another one where a customer's contracts are on one document."""
    revision: int
    """The contract's after the drafts were made; when it has risen since, they have to be made anew."""
    usage_mark: int = Field(sa_type=BigInteger)
    drafted_at: datetime = Field(sa_type=Instant)
    schedules: list[Any] = Field(sa_column=Column(Json, nullable=False))
    """Status, quantity and amount (exact text) and id of each schedule."""
    boundaries: list[Any] = Field(sa_column=Column(Json, nullable=False))
    """Object, metric, microseconds, quantity and quality of each register value."""
    carried: list[Any] = Field(default_factory=list, sa_column=Column(Json, nullable=False))
    """Ids of schedules whose difference is on no document yet: it was too small."""


class LockedMonth(Table, table=True):
    """A calendar month that the bookkeeper locked: no document is dated in it any more."""

    __tablename__ = "locked_month"
    month_starts_on: date = Field(primary_key=True)
    locked_at: datetime = Field(sa_type=Instant)


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
        one_of("purpose", INVOICE_PURPOSES),
        CheckConstraint("(number IS NULL) = (status = 'draft')", name="number"),
        CheckConstraint("net_minor + vat_minor = gross_minor", name="total"),
        UniqueConstraint("credits_id", "reference"),
        Index("ix_invoice_draft_name", "draft_name", unique=True),
        Index("ix_invoice_month_starts_on", "month_starts_on", "id"),
        Index(
            "uq_invoice_period",
            "contract_id",
            "month_starts_on",
            "kind",
            "part",
            unique=True,
            sqlite_where=Column("purpose") == "period",
            postgresql_where=Column("purpose") == "period",
        ),
    )
    id: int | None = Field(default=None, primary_key=True)
    number: str | None = Field(default=None, unique=True)
    draft_name: str | None = None
    """What a draft is called while it waits for approval, instead of a number."""
    kind: str = Field(sa_type=Word)
    purpose: str = Field(default="period", sa_type=Word)
    """`period`: what a close charges or takes back, one a kind, month and part; `threshold`: in mid-period; by hand:
    `gesture`, which leaves what was charged as it is, and `cancellation`, after which the next close charges anew."""
    status: str = Field(sa_type=Word)
    contract_id: int = Field(foreign_key="contract.id")
    """Of an invoice for several contracts, the first of them by name."""
    part_attribute: str = ""
    """The attribute of objects that the contract is invoiced by, and below its value: a site, a cost centre."""
    part: str = ""
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
    credits_id: int | None = Field(default=None, foreign_key="invoice.id")
    """The one invoice that a credit note by hand credits."""
    reference: str | None = None
    """The word of whoever asked for a credit note by hand: what makes a repeat recognisable."""
    reason: str = ""
    """Why a credit note by hand was issued."""
    incomplete: list[Any] = Field(default_factory=list, sa_column=Column(Json, nullable=False))
    """Why its usage may be incomplete: reason, first and last instant, and how many gaps; empty for most."""
    usage_mark: int | None = Field(default=None, sa_type=BigInteger)
    """The last ingest batch that an invoice in mid-period saw; a close keeps its own with the month."""
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
    credits_line_id: int | None = Field(default=None, foreign_key="invoice_line.id")
    """The line of the invoice that a line of a credit note by hand credits."""


class InvoiceVat(Table, table=True):
    """VAT once per category and rate on the invoice (EN 16931, BG-23)."""

    __tablename__ = "invoice_vat"
    __table_args__: ClassVar[Any] = (PrimaryKeyConstraint("invoice_id", "category", "rate"),)
    invoice_id: int = Field(foreign_key="invoice.id")
    category: str
    rate: Fraction = Field(sa_type=Exact)
    base_minor: int = Field(sa_type=BigInteger)
    vat_minor: int = Field(sa_type=BigInteger)
    exemption_reason: str | None = None
    """Why there is no VAT (BT-120), where the category wants a reason."""
    exemption_code: str | None = None
    """The same as a code of the VATEX list (BT-121)."""


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


class CouponUse(Table, table=True):
    """What a line took of a coupon; the line of a credit note gives back, or nothing where it was a gesture."""

    __tablename__ = "coupon_use"
    line_id: int = Field(
        sa_column=Column(Integer, ForeignKey("invoice_line.id"), primary_key=True, autoincrement=False)
    )
    coupon_id: int = Field(foreign_key="coupon.id", index=True)
    taken_minor: int = Field(sa_type=BigInteger)


class InvoiceSeal(Table, table=True):
    """What an issued invoice said, all of it, as one digest (`storage.sealing`): whoever changes it later is found."""

    __tablename__ = "invoice_seal"
    invoice_id: int = Field(sa_column=Column(Integer, ForeignKey("invoice.id"), primary_key=True, autoincrement=False))
    digest: str


class IssuedDocument(Table, table=True):
    """A document as it was first handed out: the same bytes come back for good."""

    __tablename__ = "issued_document"
    __table_args__: ClassVar[Any] = (
        PrimaryKeyConstraint("invoice_id", "form", "language", "annex"),
        one_of("form", DOCUMENT_FORMS),
    )
    invoice_id: int = Field(sa_column=Column(Integer, ForeignKey("invoice.id"), nullable=False))
    form: str = Field(sa_type=Word)
    language: str
    annex: int
    """1 with what each object comes to."""
    sha256: str
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    made_at: datetime = Field(sa_type=Instant)


class ObjectShare(Table, table=True):
    """What one object used of a pool's share of a line; the parts add up to the line share, exact and rounded."""

    __tablename__ = "object_share"
    __table_args__: ClassVar[Any] = (
        PrimaryKeyConstraint("line_id", "schedule_id", "object_id"),
        Index("ix_object_share_schedule_id", "schedule_id"),
        {"sqlite_with_rowid": False},
    )
    line_id: int = Field(sa_column=Column(Integer, ForeignKey("invoice_line.id"), nullable=False))
    schedule_id: int = Field(sa_column=Column(Integer, ForeignKey("invoicing_schedule.id"), nullable=False))
    object_id: int = Field(sa_column=Column(Integer, ForeignKey("connected_object.id"), nullable=False))
    quantity: Fraction = Field(sa_type=Exact)
    amount: Fraction = Field(sa_type=Exact)
    share_minor: int = Field(sa_type=BigInteger)


class Advance(Table, table=True):
    """Money that a customer paid on a contract before it was invoiced; the next invoices take it, the oldest first."""

    __table_args__: ClassVar[Any] = (
        UniqueConstraint("contract_id", "reference"),
        CheckConstraint("amount_minor > 0", name="amount"),
    )
    id: int | None = Field(default=None, primary_key=True)
    contract_id: int = Field(foreign_key="contract.id")
    paid_on: date
    amount_minor: int = Field(sa_type=BigInteger)
    reference: str
    """The payer's or the bank's own word for it: what makes a repeat recognisable."""
    origin: str
    recorded_at: datetime = Field(sa_type=Instant)


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
    advance_id: int | None = Field(default=None, foreign_key="advance.id", index=True)
    """The advance that it comes from: it was there when the invoice was issued, and its documents state it."""
