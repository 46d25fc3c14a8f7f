"""The keys of a catalogue file: what is declared, each with the values that it takes."""

from datetime import date, datetime
from fractions import Fraction
from typing import Annotated, Any, Literal, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    model_validator,
)

from billing.core.durations import duration
from billing.core.errors import BillingError
from billing.core.money import minor_digits
from billing.core.quantity import QUANTITY_LIMIT
from billing.core.reading import read

CHARGE_LIMIT = 100
"""Charges of one plan."""
COUPON_LIMIT = 100
"""Coupons of one contract: each is looked at by every close of it."""
PERIOD_LIMIT = 1200
"""Billing months of one coupon: a century."""
SECONDS = {"m": 60, "h": 3600, "d": 86400}
OF_REGISTERS = ("register_width", "maximum_rate", "boundary", "boundary_tolerance")
RATE_LIMIT = 10**13
"""Scaled quantity an hour: its rise in a century fits 64 bits."""
SOURCE_LIMIT = 200
"""Sources of one file: each is looked at for every topic that is new."""


def _day(value: object) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    elif isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise ValueError(f"{value!r} is not a day; write it as YYYY-MM-DD")


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"time zone {value!r} is unknown; write an IANA name such as Europe/Paris") from None
    return value


def _currency(value: str) -> str:
    try:
        minor_digits(value)
    except BillingError as error:
        raise ValueError(error.message) from None
    return value


def _printable(value: str) -> str:
    if not value.isprintable() or value != value.strip():
        raise ValueError(f"{value!r} has control characters or a blank at an end; remove them")
    return value


def _length(value: str) -> str:
    try:
        duration(value)
    except BillingError as error:
        raise ValueError(error.message) from None
    return value


def _amount(value: object) -> Fraction:
    try:
        return cast("Fraction", read(Fraction, value))
    except BillingError as error:
        raise ValueError(error.message) from None


Text = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_printable)]
Length = Annotated[str, AfterValidator(_length)]
Amount = Annotated[Fraction, PlainValidator(_amount)]
Day = Annotated[date, BeforeValidator(_day)]
Zone = Annotated[str, AfterValidator(_zone)]
Currency = Annotated[str, AfterValidator(_currency)]
Account = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]{1,20}$")]
VatKey = Annotated[str, StringConstraints(pattern=r"^(S|Z|E|AE|K|G|O|L|M)( [0-9]{1,3}(\.[0-9]{1,4})?)?$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Invoicing = Annotated[str, StringConstraints(pattern=r"^(contract|customer|attribute:.{1,100})$")]
Group = Annotated[str, StringConstraints(pattern=r"^(subscription|charge|object|attribute:.{1,100})$")]


class Model(BaseModel):
    """Strict: no unknown key, no silent conversion."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class PartyModel(Model):
    """Who is named on an invoice."""

    name: Text
    country: Country
    vat_number: Text | None = None
    legal_id: Text | None = None
    address: list[Text] = Field(default_factory=list, max_length=6)
    postcode: Text | None = None
    city: Text | None = None
    electronic_address: Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{2,4}:[^\s:]{1,100}$")] | None = None
    """Scheme and address: `0009:12345678900010` (BT-34, BT-49)."""

    def party(self) -> dict[str, Any]:
        """What is frozen onto each invoice."""
        kept = self.model_dump(exclude_none=True, exclude={"currency", "timezone", "reference", "accounting"})
        return {name: value for name, value in kept.items() if value != []}


class AccountingModel(Model):
    """The seller's accounts, for journal entries."""

    receivable: Account
    revenue: Account
    vat: dict[VatKey, Account] = Field(default_factory=dict, max_length=100)
    bank: Account | None = None
    advances: Account | None = None


class SellerModel(PartyModel):
    currency: Currency
    timezone: Zone
    iban: Text | None = None
    accounting: AccountingModel | None = None


class CustomerModel(PartyModel):
    reference: Text
    currency: Currency | None = None
    timezone: Zone | None = None


def _seconds(said: str | None) -> int | None:
    return None if said is None else int(said[:-1]) * SECONDS[said[-1]]


class MetricModel(Model):
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,100}$")]
    unit: Text
    unit_code: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{2,3}$")] = "C62"
    kind: Literal["delta", "cumulative", "gauge", "state"]
    decimals: int = Field(default=6, ge=0, le=9)
    excess_digits: Literal["round", "refuse"] = "round"
    expected_every: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,3}[mhd]$")] | None = None
    """Minutes, hours or days: an object that is silent for longer has a gap."""

    register_width: int | None = Field(default=None, ge=1, le=17)
    maximum_rate: Amount | None = None
    boundary: Literal["carried", "interpolated"] = "carried"
    boundary_tolerance: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,3}[mh]$")] | None = None
    """Minutes or hours: a reading so near to the end of a period is the value there."""

    @model_validator(mode="after")
    def _of_registers(self) -> "MetricModel":
        told = [key for key in OF_REGISTERS if getattr(self, key) not in {None, "carried"}]
        if told and self.kind != "cumulative":
            raise ValueError(f"`{told[0]}` is of a register; a {self.kind} has none")
        if self.register_width is not None and 10 ** (self.register_width + self.decimals) > QUANTITY_LIMIT:
            raise ValueError(
                f"register_width {self.register_width} with {self.decimals} decimals is more than a record holds; "
                f"take {17 - self.decimals} digits or fewer decimals"
            )
        if self.maximum_rate is not None and not 0 < self.maximum_rate * 10**self.decimals <= RATE_LIMIT:
            raise ValueError("maximum_rate should be above 0, and not above what a register of its decimals can rise")
        if self.boundary_tolerance is not None and self.boundary == "carried":
            raise ValueError("`boundary_tolerance` is of `boundary: interpolated`")
        return self

    def row(self) -> dict[str, Any]:
        """What is stored."""
        kept = self.model_dump(exclude={"expected_every", "maximum_rate", "boundary_tolerance"})
        return kept | {
            "expected_seconds": _seconds(self.expected_every),
            "boundary_tolerance_seconds": _seconds(self.boundary_tolerance) or 0,
            "maximum_rate": self.maximum_rate,
        }


class PlanModel(Model):
    """`charges` are read by `billing.core.charges`, which knows what each kind of charge and price takes."""

    name: Text
    charges: list[Any] = Field(min_length=1, max_length=CHARGE_LIMIT)
    usage_while_suspended: Literal["bill", "ignore", "report"] | None = None
    """What its usage charges say that do not say it themselves."""
    device_commands: list[Literal["activate", "suspend", "resume", "terminate"]] = Field(
        default_factory=list, max_length=4
    )
    """After which commands its objects are told so themselves."""
    device_command_expires: Length | None = None
    starts: Literal["at_once", "on_acknowledgement"] = "at_once"

    def commands(self) -> dict[str, Any] | None:
        """What its objects are told, as it is stored; None for nothing."""
        waits = self.starts == "on_acknowledgement"
        after = {*self.device_commands, *(["activate"] if waits else [])}
        if not after:
            return None
        return {"after": sorted(after), "expires": self.device_command_expires, "starts": self.starts}


class CouponModel(Model):
    name: Text
    amount: Amount
    currency: Currency | None = None
    periods: int = Field(default=1, ge=1, le=PERIOD_LIMIT)
    subscription: str | None = None
    rest: Literal["carry", "drop"] = "carry"
    starts_on: Day | None = None


class ContractModel(Model):
    name: Text
    customer: str
    starts_on: Day
    currency: Currency | None = None
    timezone: Zone | None = None
    grouping: list[Group] = Field(default_factory=lambda: ["subscription", "charge"], max_length=10)
    payment_terms_days: int = Field(default=30, ge=0, le=365)
    approval: Literal["none", "required"] = "none"
    dating: Literal["period_end", "issue_day"] = "period_end"
    minimum_invoice: Amount = Fraction(0)
    incomplete: Literal["note", "hold"] = "note"
    invoicing: Invoicing = "contract"
    renewal: Literal["none", "automatic"] = "none"
    notice_days: int = Field(default=0, ge=0, le=366)
    subscriptions: list[str] = Field(default_factory=list)
    coupons: list[CouponModel] = Field(default_factory=list, max_length=COUPON_LIMIT)


class CatalogueModel(Model):
    """The whole file."""

    seller: SellerModel | None = None
    metrics: list[MetricModel] = []
    customers: list[CustomerModel] = []
    plans: list[PlanModel] = []
    contracts: list[ContractModel] = []
    sources: list[Any] = Field(default=[], max_length=SOURCE_LIMIT)
    """Read by the gateway, which knows what each format takes."""
