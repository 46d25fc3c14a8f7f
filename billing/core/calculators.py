"""The usage data calculator: which usage, how it is added up, converted and priced."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

from billing.core.conversion import Convert
from billing.core.errors import Invalid
from billing.core.measured import Measured
from billing.core.prices import (
    FLAT_FEE,
    NO_CONTEXT,
    NO_PRICE,
    Component,
    Context,
    Dynamic,
    Percentage,
    Plugin,
    Price,
    Rule,
    rate,
)
from billing.core.properties import property_text
from billing.core.reading import Reading, Wrong, entry_of
from billing.core.usage import FROM_GROUPS, FROM_TOTALS, Aggregation

VALUES_LIMIT = 100
"""Values of one property that are filtered or priced: more is a table of its own."""
DEFAULT = "default"
NO_VALUE = "none"
"""How the usage that does not carry the property is named on its line."""
GENERAL = frozenset({"Units", "Flat", "Amount", "Percentage", "Packages", "Rule"})
"""Components that need no name of their own beside the value of the property."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Only usage whose properties have one of the values given for each name."""

    wanted: tuple[tuple[str, tuple[str, ...]], ...]

    @classmethod
    def from_entry(cls, value: object) -> "Filter":
        if not isinstance(value, Mapping) or not value:
            raise Invalid("should be a mapping of properties to values, such as {zone: [night]}")
        wanted = []
        for name, allowed in sorted(value.items()):
            values = allowed if isinstance(allowed, Sequence) and not isinstance(allowed, str) else [allowed]
            if not isinstance(name, str) or not values or not all(isinstance(it, str | int) for it in values):
                raise Invalid(f"{name}: {allowed!r} should be a text, an integer, or a list of them")
            if len(values) > VALUES_LIMIT:
                raise Invalid(f"{name} has {len(values)} values; it should have at most {VALUES_LIMIT}")
            wanted.append((name, tuple(sorted(property_text(it) for it in values))))
        return cls(wanted=tuple(wanted))

    def as_entry(self) -> dict[str, list[str]]:
        return {name: list(values) for name, values in self.wanted}

    def takes(self, properties: Mapping[str, Any]) -> bool:
        """Whether a usage record with these properties is measured."""
        return all(name in properties and property_text(properties[name]) in allowed for name, allowed in self.wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """A price for each value of the property, and maybe one for all other values (`default`)."""

    by_value: tuple[tuple[str, Price], ...]

    @classmethod
    def from_entry(cls, value: object) -> "Prices":
        if not isinstance(value, Mapping) or not value:
            raise Invalid("should be a mapping of values to prices, such as {night: {model: per_unit, ...}}")
        if len(value) > VALUES_LIMIT:
            raise Invalid(f"has {len(value)} prices; it should have at most {VALUES_LIMIT}")
        reading, found = Reading(), []
        for name, price in value.items():
            try:
                found.append((property_text(name), reading.value(Price, price, str(name))))
            except Wrong:
                continue
        if reading.problems:
            raise Invalid("; ".join(f"{place}: {message}" for place, message in reading.problems))
        return cls(by_value=tuple(sorted(found, key=lambda pair: pair[0])))

    def as_entry(self) -> dict[str, Any]:
        return {value: entry_of(price) for value, price in self.by_value}

    def of(self, value: str) -> Price | None:
        prices = dict(self.by_value)
        return prices.get(value, prices.get(DEFAULT))


@dataclass(frozen=True, slots=True, kw_only=True)
class Calculator:
    """How a period's usage of `metric` is valued.

    `property` is what unique_count counts; `percentile` is of the aggregation of that name; `recurring` carries the
    level at the end of a period into the next one. `by` breaks the usage down by a property: one price for each value
    (`prices`), or the same `price` for each on its own. Raises Invalid for keys that do not go together.
    """

    hints: ClassVar[Mapping[str, str]] = {
        "charge_zero": "write charge_zero in the price",
        "minimum": "write minimum beside the calculator; it is that of a period",
        "maximum": "write maximum beside the calculator; it is that of a period",
    }
    metric: str = "usage"
    aggregation: Aggregation = "sum"
    property: str | None = None
    percentile: Fraction | None = None
    recurring: bool = False
    filter: Filter | None = None
    by: str | None = None
    convert: Convert | None = None
    price: Price | None = None
    prices: Prices | None = None

    def __post_init__(self) -> None:
        if (self.price is None) == (self.prices is None):
            raise Invalid("this key is required; add it: price, or by with prices")
        if self.prices is not None and self.by is None:
            raise Invalid("prices are for the values of a property; add by, or write price")
        if (self.aggregation == "unique_count") != (self.property is not None):
            raise Invalid("unique_count, and only it, has a property: the one whose values are counted")
        if self.percentile is not None and (self.aggregation != "percentile" or not 0 < self.percentile <= 100):  # noqa: PLR2004 - percent
            raise Invalid("percentile is above 0 and at most 100, and goes with aggregation: percentile")
        if self.recurring and self.aggregation not in {"sum", "unique_count"}:
            raise Invalid("recurring goes with sum and unique_count; weighted aggregations always carry their level")
        if self.convert is not None and any(isinstance(price, Percentage | Dynamic) for price in self.all_prices()):
            raise Invalid("convert changes units, but this price is on an amount of money; remove one of them")
        if self.converts_records() and self.carries():
            raise Invalid("a level that is carried from period to period is converted per period; remove per: record")

    def all_prices(self) -> tuple[Price, ...]:
        """Every price in it."""
        if self.prices is not None:
            return tuple(price for _, price in self.prices.by_value)
        return () if self.price is None else (self.price,)

    def converts_records(self) -> bool:
        """Whether units are converted record by record, before they are added up."""
        return self.convert is not None and self.convert.per == "record"

    def carries(self) -> bool:
        """Whether a level is carried in from before the period: a record changes every period after it."""
        return self.recurring or self.aggregation in {"weighted_sum", "weighted_mean"}

    def reads_events(self) -> bool:
        """Whether a price looks at each event."""
        return any(
            (isinstance(price, Percentage | Rule) and price.reads_events)
            or (isinstance(price, Plugin) and price.reads_records)
            for price in self.all_prices()
        )

    def reads_properties(self) -> bool:
        """Whether it matters what usage says beside its value."""
        return self.filter is not None or self.by is not None or self.property is not None

    def from_groups(self) -> bool:
        """Whether the totals of each set of properties are enough, so that no record is looked at alone."""
        plain = not self.recurring and not self.reads_events() and not self.converts_records()
        return self.aggregation in FROM_GROUPS and plain

    def reads_records(self) -> bool:
        """Whether the totals of a period are not enough."""
        return (
            self.recurring
            or self.filter is not None
            or self.by is not None
            or self.aggregation not in FROM_TOTALS
            or self.reads_events()
            or self.converts_records()
        )

    def value(self, measured: Measured, context: Context = NO_CONTEXT) -> tuple[Component, ...]:
        """The priced components; of a breakdown those of each value, named after it.

        What a value without a price used is a component at 0: seen, and charged once a price is given.
        """
        if self.by is None:
            assert self.price is not None  # noqa: S101 - without by there is one price
            return rate(self.price, self._converted(measured), context)
        components: list[Component] = []
        for value, part in measured.parts:
            price, used = self.price_of(value), self._converted(part)
            for component in _not_priced(used) if price is None else rate(price, used, context):
                name = self.line_name(value, component.name)
                components.append(replace(component, name=name, position=len(components) + 1))
        return tuple(components)

    def price_of(self, value: str) -> Price | None:
        """The price of a value of the breakdown, if it has any."""
        return self.price if self.prices is None else self.prices.of(value)

    def line_name(self, value: str, component: str) -> str:
        """How a component of the price of a value is called: after the value, with its own name where it needs one."""
        return self.part_name(value) if component in GENERAL else f"{self.part_name(value)} / {component}"

    def part_name(self, value: str) -> str:
        """How a value of the breakdown is called on its lines: `zone: night`.

        No two values are called the same: what could be taken for another value, or for one with a component's name,
        is in quotes.
        """
        plain = value and value != NO_VALUE and " / " not in value and value[0] != '"' and not value.endswith(FLAT_FEE)
        return f"{self.by}: {value if plain else json.dumps(value, ensure_ascii=False) if value else NO_VALUE}"

    def shows(self, properties: Mapping[str, str], component: str) -> bool:
        """Whether a usage record with these properties is behind a component of this name."""
        if self.filter is not None and not self.filter.takes(properties):
            return False
        if self.by is None or not component.startswith(f"{self.by}: "):
            return True
        name = self.part_name(property_text(properties.get(self.by)))
        return component == name or component.startswith(f"{name} / ")

    def _converted(self, measured: Measured) -> Measured:
        if self.convert is None or self.converts_records():
            return measured
        return replace(measured, quantity=self.convert.apply(measured.quantity), parts=())


def _not_priced(used: Measured) -> tuple[Component, ...]:
    if used.quantity <= 0:
        return ()
    nothing = Fraction(0)
    return (Component(name=NO_PRICE, position=1, quantity=used.quantity, unit_price=nothing, amount=nothing),)
