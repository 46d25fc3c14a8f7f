"""What every price model answers with: named, exact parts of an amount."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

MINIMUM, MAXIMUM, DISCOUNT = "Minimum commitment", "Maximum", "Discount"
PER_EVENT_LIMITS = "Minimum and maximum per event"
FIXED_FEE = "Fixed fee"
PACKAGES = "Packages"
FLAT = "Flat"
UNITS = "Units"
PERCENTAGE = "Percentage"
AMOUNT = "Amount"
FLAT_FEE = "flat fee"
NO_PRICE = "No price"
"""Usage of a value for which a breakdown has no price: a line at 0, so that it is seen and not silently free."""
RULE = "Rule"
GIVEN = "Credited before"
"""What a gesture gave back beyond what a period is worth now: it is not taken back a second time."""
RESERVED = frozenset({MINIMUM, MAXIMUM, DISCOUNT, PER_EVENT_LIMITS, RULE, NO_PRICE, GIVEN})
"""Names that no calculator may give to a part of its price."""

Unit = Literal["metric", "fee", "amount", "event", "package"]
_UNITS: dict[str, Unit] = {
    MINIMUM: "amount",
    MAXIMUM: "amount",
    DISCOUNT: "amount",
    PER_EVENT_LIMITS: "amount",
    FIXED_FEE: "event",
    PACKAGES: "package",
    FLAT: "fee",
    RULE: "amount",
    GIVEN: "amount",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One priced part: `amount` is `quantity` times `unit_price`, exactly, in major units of the currency.

    Where the amount itself differs from object to object (a discount, what is missing to a minimum), the quantity is
    that amount and the unit price is 1 or -1, so that a fleet's are one line.
    """

    name: str
    position: int
    quantity: Fraction
    unit_price: Fraction
    amount: Fraction


def priced(*, name: str, position: int, quantity: Fraction, unit_price: Fraction) -> tuple[Component, ...]:
    """The component, or none when it is worth nothing."""
    amount = quantity * unit_price
    if not amount:
        return ()
    return (Component(name=name, position=position, quantity=quantity, unit_price=unit_price, amount=amount),)


def worth(components: tuple[Component, ...]) -> Fraction:
    """The exact sum of the components, in major units."""
    return sum((component.amount for component in components), Fraction(0))


def is_unpriced(name: str) -> bool:
    """Whether a component, by its name, is usage that has no price."""
    return name.endswith(f" / {NO_PRICE}")


def unit_of(name: str) -> Unit:
    """What a component's quantity counts, by its name: units of the metric, fees, money, events or packages."""
    own = name.rpartition(" / ")[2]
    if own.endswith('"'):  # a property's value in quotes is nothing else, whatever it says
        return "metric"
    if own.endswith(FLAT_FEE) or own.startswith("Step "):
        return "fee"
    return _UNITS.get(own, "metric")
