"""Invoices and credit notes as the API says and takes them; amounts and quantities are decimal text."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from billing.catalogue import Day, Text
from billing.commands import Number

POSITIONS_LIMIT = 1_000


class Listed(BaseModel):
    """One invoice or credit note as a list shows it; a draft has its name for a number."""

    number: str
    kind: Literal["invoice", "credit_note"]
    purpose: str
    status: Literal["draft", "issued"]
    contract: str
    customer: str
    month: str
    issued_on: date
    due_on: date
    currency: str
    net: str
    vat: str
    total: str


class Line(BaseModel):
    """`to` is the last day; numbers are exact; `net` is rounded once, here."""

    model_config = ConfigDict(populate_by_name=True)
    line: int
    label: str
    starts_on: date = Field(alias="from")
    ends_on: date = Field(alias="to")
    objects: int
    quantity: str
    unit: str
    unit_price: str
    vat: str
    net: str


class Vat(BaseModel):
    category: str
    rate: str
    base: str
    vat: str
    exemption_reason: str | None
    exemption_code: str | None


class Document(BaseModel):
    """One document whole, but for its lines, which have a list of their own; a draft has no balance."""

    number: str
    kind: Literal["invoice", "credit_note"]
    status: Literal["draft", "issued"]
    purpose: str
    contract: str
    part: str
    issued_on: date
    due_on: date
    currency: str
    net: str
    vat: str
    total: str
    paid: str | None = None
    credited: str | None = None
    due: str | None = None
    state: str | None = None
    reason: str
    incomplete: list[dict[str, Any]]
    seller: dict[str, Any]
    buyer: dict[str, Any]
    corrects: list[str]
    vat_breakdown: list[Vat]


class Tried(Document):
    """A document that would be issued, with its first thousand lines: nothing is written, so it has no address."""

    lines: list[Line]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class CreditBody(_Strict):
    """All that is left of the invoice, or some of its `lines`, a net `amount`, or a `percent` of each line."""

    lines: list[Annotated[int, Field(ge=1)]] = Field(default_factory=list, max_length=POSITIONS_LIMIT)
    amount: Number | None = None
    percent: Number | None = None
    reason: Text
    rebill: bool = False
    reference: Text | None = None
    dry_run: bool = False
    """Only answer with the credit note that would be issued; nothing is written."""


class PaymentBody(_Strict):
    amount: Number
    paid_on: Day | None = None
    reference: Text


class ApproveBody(_Strict):
    total: Number | None = None
    """What the approver saw, VAT included: another total is refused."""
    dry_run: bool = False
    """Only answer with the documents that would be issued; nothing is written."""


class VoidBody(_Strict):
    pass


class Balance(BaseModel):
    """What was paid, credited and is still due, and the state in one word."""

    number: str
    currency: str
    paid: str
    credited: str
    due: str
    state: str


class Payment(BaseModel):
    paid_on: date
    amount: str
    reference: str
    origin: str


class Approved(BaseModel):
    draft: str
    invoices: list[Document]


class ApprovalTried(BaseModel):
    draft: str
    dry_run: Literal[True]
    invoices: list[Tried]


class Voided(BaseModel):
    draft: str
    status: Literal["void"] = "void"
