"""What a period's usage came to: the quantity, how many events, and their values where a price asks for them."""

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple

from billing.core.errors import Invalid


class Moment(NamedTuple):
    """The place of an event in time: when it was, of which object (by reference), and its id."""

    at: datetime
    owner: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A period's usage: `quantity` in the metric's unit, `count` events, `values` one by one in time order.

    `values` is None where only totals were gathered. `parts` holds the same once more for each value of the property
    that a calculator breaks its usage down by, in the order of the values. `moments` are those of the values, kept
    where the events of several objects are to be put in one order.
    """

    quantity: Fraction
    count: int = 0
    values: tuple[Fraction, ...] | None = None
    parts: tuple[tuple[str, "Measured"], ...] = ()
    moments: tuple[Moment, ...] = ()

    def events(self) -> tuple[Fraction, ...]:
        """The value of each event in time order; raises Invalid where they were not gathered."""
        if self.values is None:
            raise Invalid("this price looks at each event, but only their total is known; give the events")
        return self.values


def counted_events(count: int, moments: tuple[Moment, ...] = ()) -> Measured:
    """So many events of one kind, each of them 1; of several objects with their moments."""
    return Measured(quantity=Fraction(count), count=count, values=(Fraction(1),) * count, moments=moments)


NO_EVENTS = counted_events(0)
