"""What every price model answers with: named, exact parts of an amount."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One priced part: `amount` is `quantity` times `unit_price`, exactly, in major units of the currency."""

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
