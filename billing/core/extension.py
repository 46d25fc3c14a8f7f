"""The contract of calculators in Python that others write: what they are given, what they give back, all exact.

The law: a calculator is pure. It takes all it needs from its input, changes nothing, and the same input gives the same
parts, today and when the books are verified in years.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Protocol

Option = str | int | bool
"""What a plan may set for a calculator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodUsage:
    """The input: a period's usage of one object, and what the plan set.

    `quantity` is what the calculator entry measures, `count` how many records, `values` each of them in time order
    (None unless the calculator reads records). `part` is what was served of the whole period, `days` its days,
    `number` which period of the service it is, from 1. `attributes` are the object's; none for a pool.
    """

    quantity: Fraction
    count: int = 0
    values: tuple[Fraction, ...] | None = None
    part: Fraction = Fraction(1)
    days: int = 0
    number: int = 1
    attributes: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Option] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PricedPart:
    """One part of the price, a line of the invoice: `quantity` times `unit_price`, in major units of the currency."""

    name: str
    quantity: Fraction | Decimal | int
    unit_price: Fraction | Decimal | int = 1


class UsageCalculator(Protocol):
    """A calculator: its name and version are what a plan refers to, for ever with the same meaning."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str:
        """Another version for every change of what any input comes to; several may be installed side by side."""

    @property
    def reads_records(self) -> bool:
        """Whether it needs each record, which costs more time than totals do."""

    def check(self, options: Mapping[str, Option]) -> None:
        """Raises ValueError, saying what to write instead, for options that it does not take."""

    def price(self, usage: PeriodUsage) -> Sequence[PricedPart]:
        """The parts of the price; together never below zero. Raises ValueError for usage that has no price."""
