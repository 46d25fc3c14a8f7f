"""The priced parts of a plan, read from their catalogue form; what is not understood is refused, never ignored."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Literal, TypeAlias, cast

from billing.core.adjustments import Adjustments, Discount
from billing.core.calculators import Calculator
from billing.core.errors import Invalid
from billing.core.exemptions import Exemption, exemption_of
from billing.core.money import exact_text
from billing.core.periods import Anchor, Every
from billing.core.prices import Capacity, Flat, Graduated, PerUnit, Plugin, Price, Rule, Stairstep, Volume
from billing.core.reading import Reading, Wrong, entry_of, read

Timing = Literal["advance", "arrears"]
Prorate = Literal["day", "second", "none", "full"]
UsageWhileSuspended = Literal["bill", "ignore", "report"]
"""What usage of suspended days is: charged, free, or free and told by the close."""
Scope = Literal["item", "subscription", "contract"]
GROWING_AGGREGATIONS = frozenset({"sum", "count", "max", "unique_count"})
"""What does not fall while a period goes on."""
Limits = Literal["pool", "item"]
VatCategory = Literal["S", "Z", "E", "AE", "K", "G", "O", "L", "M"]
"""UNCL5305 in EN 16931: standard, zero, exempt, reverse charge, intra-community, export, outside, IGIC, IPSI."""
VAT_CATEGORIES_AT_ZERO = frozenset({"Z", "E", "AE", "K", "G", "O"})
ACCOUNT = re.compile(r"[A-Za-z0-9.-]{1,20}")
"""An account of the bookkeeper, as it stands in journal entries."""
TRIAL_DAYS_LIMIT = 3650
"""A longer trial is a mistake in a number."""
ONE_MONTH = Every(months=1)
GROWING_PRICES = (Flat, PerUnit, Graduated, Volume, Stairstep, Capacity)
"""Prices whose limits can be those of one item, times the items; the others count whole packages or single events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What every charge says: its name, its VAT (`vat_rate` in percent), whose it is, and what bounds its worth.

    `scope` is who has it: each contract item, or the subscription or contract as a whole. Raises Invalid when the
    VAT's category and rate do not agree (EN 16931, BR-S-5, BR-Z-5, BR-E-5, BR-AE-5, BR-IC-5, BR-G-5, BR-O-5), or
    the bounds of the worth exclude each other.
    """

    hints: ClassVar[Mapping[str, str]] = {}
    name: str
    vat_rate: Fraction
    vat_category: VatCategory = "S"
    vat_exemption_reason: str | None = None
    vat_exemption_code: str | None = None
    scope: Scope = "item"
    multiplier: Fraction = Fraction(1)
    discount: Discount | None = None
    maximum: Fraction | None = None
    minimum: Fraction | None = None
    account: str | None = None
    """Of revenue, in journal entries; the seller's when None."""

    def __post_init__(self) -> None:
        if self.account is not None and not ACCOUNT.fullmatch(self.account):
            raise Invalid(f"account {self.account!r} should be an account: letters, digits, . and -, at most 20")
        if self.vat_rate > 100:  # noqa: PLR2004 - percent
            raise Invalid('vat_rate is in percent, at most 100; 20 % is "20"')
        if self.vat_category in VAT_CATEGORIES_AT_ZERO and self.vat_rate:
            raise Invalid(f"vat_category {self.vat_category} has no VAT (EN 16931); vat_rate should be 0")
        if self.vat_category == "S" and not self.vat_rate:
            raise Invalid("vat_category S has a rate above 0; for a rate of 0 write Z, E, AE, K, G or O")
        exemption_of(self.vat_category, self.vat_exemption_reason, self.vat_exemption_code)
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise Invalid("minimum is above maximum; the worth of a period lies between the two")

    @property
    def exemption(self) -> Exemption | None:
        """Why it bears no VAT."""
        return exemption_of(self.vat_category, self.vat_exemption_reason, self.vat_exemption_code)

    @property
    def adjusted(self) -> bool:
        """Whether anything applies to the worth as a whole; most charges are their prices."""
        return self.multiplier != 1 or any(it is not None for it in (self.discount, self.maximum, self.minimum))

    @property
    def adjustments(self) -> Adjustments:
        """What applies to the worth as a whole."""
        return Adjustments(
            multiplier=self.multiplier, discount=self.discount, maximum=self.maximum, minimum=self.minimum
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Periodic(Terms):
    """A charge that comes again: every so often, from the calendar or from the item's first day.

    `anchor` is the contract's when None. In the first `trial_days` days of an item nothing is charged. `prorate` says
    what a part of a period is worth: its days or seconds, the whole (`none`), or nothing (`full` periods only).
    """

    every: Every = ONE_MONTH
    anchor: Anchor | None = None
    trial_days: int = 0
    prorate: Prorate = "day"

    def __post_init__(self) -> None:
        Terms.__post_init__(self)
        if self.trial_days > TRIAL_DAYS_LIMIT:
            raise Invalid(f"trial_days is {self.trial_days}; it should be at most {TRIAL_DAYS_LIMIT}")


@dataclass(frozen=True, slots=True, kw_only=True)
class OneTime(Terms):
    """A fee due once, at the activation: `amount` in major units."""

    type: ClassVar[str] = "one_time"
    timing: Literal["advance"] = "advance"
    amount: Fraction


@dataclass(frozen=True, slots=True)
class WhileSuspended:
    """What suspended days cost: nothing (`stop`), the same (`charge`), or out of a whole period's `amount`."""

    model: Literal["stop", "charge", "reduced"] = "stop"
    amount: Fraction = Fraction(0)

    @classmethod
    def from_entry(cls, value: object) -> "WhileSuspended":
        """From a word, or from `{model: reduced, amount}`. Raises Invalid."""
        match value:
            case "stop" | "charge":
                return cls(value)
            case {"model": "reduced", "amount": amount, **others} if not others:
                return cls("reduced", cast("Fraction", read(Fraction, amount)))
            case _:
                raise Invalid(f"{value!r} should be stop, charge, or {{model: reduced, amount}}")

    def as_entry(self) -> object:
        return self.model if self.model != "reduced" else {"model": self.model, "amount": exact_text(self.amount)}


STOP = WhileSuspended()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurring(Periodic):
    """A fee: `amount` in major units for each whole period."""

    type: ClassVar[str] = "recurring"
    timing: Timing = "arrears"
    amount: Fraction
    while_suspended: WhileSuspended = STOP


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage(Periodic):
    """A price on what was measured over a period, in arrears; before its end whenever `threshold` more is owed.

    The included units, tiers, steps, minimum and maximum of a pool are the whole pool's, or with `limits` item those
    of one item: they then grow with the items in it, each counted by the part of the period that it was there.
    """

    type: ClassVar[str] = "usage"
    hints: ClassVar[Mapping[str, str]] = {
        key: f"write {key} in the calculator"
        for key in ("metric", "aggregation", "price", "prices", "by", "filter", "convert")
    } | {"charge_zero": "write charge_zero in the price"}
    timing: Literal["arrears"] = "arrears"
    limits: Limits = "pool"
    threshold: Fraction | None = None
    calculator: Calculator
    usage_while_suspended: UsageWhileSuspended = "bill"

    def __post_init__(self) -> None:
        Periodic.__post_init__(self)
        if self.usage_while_suspended != "bill" and self.scope != "item":
            raise Invalid(f"usage_while_suspended is about one object, but the scope is the {self.scope}")
        if self.usage_while_suspended != "bill" and self.calculator.carries():
            raise Invalid("usage_while_suspended goes with usage that is counted; a level goes on while suspended")
        read = {name for rule in rules_of(self) if isinstance(rule, Rule) for name in rule.expression.attributes}
        if read and self.scope != "item":
            raise Invalid(f"attributes.{min(read)} is that of one object, but the scope is the {self.scope}")
        self._check_limits()
        self._check_threshold()

    def _check_limits(self) -> None:
        if self.limits == "item" and self.scope == "item":
            raise Invalid("limits says whose the limits of a pool are; add scope: subscription or contract")
        if self.limits == "item" and not all(isinstance(it, GROWING_PRICES) for it in self.calculator.all_prices()):
            raise Invalid(
                "limits: item goes with flat, per_unit, graduated, volume, stairstep and capacity; give the limits "
                "of the whole pool"
            )

    def _check_threshold(self) -> None:
        if self.threshold is None:
            return
        if not self.threshold:
            raise Invalid("threshold is an amount above 0; a period is invoiced as soon as it costs that much more")
        if self.calculator.aggregation not in GROWING_AGGREGATIONS or self.calculator.recurring:
            raise Invalid(
                f"threshold goes with what only grows in a period: {', '.join(sorted(GROWING_AGGREGATIONS))}; a level "
                "is known when the period ends"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Periodic):
    """A price on how many events of one kind the object had: activations, suspensions, commands, alarms."""

    type: ClassVar[str] = "event"
    timing: Literal["arrears"] = "arrears"
    event: str
    price: Price


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment(Periodic):
    """What a whole period costs at least, over several charges: `amount` in major units; what is missing is charged.

    It counts the charges on usage and events of the same period, or with `counts` all charges. Raises Invalid for
    terms that bound or lower it: it is a bound itself.
    """

    type: ClassVar[str] = "commitment"
    hints: ClassVar[Mapping[str, str]] = {"minimum": "write amount; a commitment is a minimum itself"}
    scope: Scope = "subscription"
    timing: Literal["arrears"] = "arrears"
    counts: Literal["usage", "all"] = "usage"
    amount: Fraction

    def __post_init__(self) -> None:
        Periodic.__post_init__(self)
        if self.adjusted:
            raise Invalid("a commitment has an amount, and no multiplier, discount, minimum or maximum")


Charge: TypeAlias = OneTime | Recurring | Usage | Event | Commitment


def rules_of(charge: Charge) -> tuple[Rule | Plugin, ...]:
    """The prices of one's own in a charge: what they come to depends on more than the usage."""
    match charge:
        case Usage():
            prices = charge.calculator.all_prices()
        case Event():
            prices = (charge.price,)
        case _:
            prices = ()
    return tuple(price for price in prices if isinstance(price, Rule | Plugin))


def charge_from(definition: Mapping[str, Any]) -> Charge:
    """The charge that a catalogue entry (parsed YAML or JSON) declares.

    Amounts, quantities and rates are strings or integers, never floats. Raises Invalid naming each key that is wrong,
    the value and what it should be.
    """
    return cast("Charge", read(Charge, definition))


def charge_problems(definition: object) -> tuple[Charge | None, list[tuple[str, str]]]:
    """The charge, or everything that is wrong with its entry: (place below the entry, what to do)."""
    reading = Reading()
    try:
        return cast("Charge", reading.value(Charge, definition, "")), []
    except Wrong:
        return None, reading.problems


def definition_of(charge: Charge) -> dict[str, Any]:
    """The catalogue entry of a charge with every key in it, as it is stored; `charge_from` gives the charge back."""
    return cast("dict[str, Any]", entry_of(charge))
