"""What a period's usage came to: the quantity, how many events, and their values where a price asks for them."""

from dataclasses import dataclass
from fractions import Fraction

from billing.core.errors import Invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A period's usage: `quantity` in the metric's unit, `count` events, `values` one by one in time order.

    `values` is None where only totals were gathered. `parts` holds the same once more for each value of the property
    that a calculator breaks its usage down by, in the order of the values.
    """

    quantity: Fraction
    count: int = 0
    values: tuple[Fraction, ...] | None = None
    parts: tuple[tuple[str, "Measured"], ...] = ()

    def events(self) -> tuple[Fraction, ...]:
        """The value of each event in time order; raises Invalid where they were not gathered."""
        if self.values is None:
            raise Invalid("this price looks at each event, but only their total is known; give the events")
        return self.values
