"""A percentage of the amounts that events carry, with what is free and with limits for each event."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, NamedTuple

from billing.core.errors import Invalid
from billing.core.measured import Measured
from billing.core.prices.component import FIXED_FEE, PER_EVENT_LIMITS, PERCENTAGE, Component, priced

PERCENT = Fraction(1, 100)


class EventCharged(NamedTuple):
    """What is charged of one event: of its amount, the event itself or not, and what its limits add or take."""

    amount: Fraction
    events: int
    limits: Fraction


FREE = EventCharged(Fraction(0), 0, Fraction(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentage:
    """`rate` percent of each event's amount, and `fixed_fee` for each event; all amounts in major units.

    Events are free, in time order, until `free_events` were free or their amounts reach `free_total`, whichever comes
    first; of the event that passes `free_total` only the excess is charged, with its whole fixed fee. `minimum` and
    `maximum` bound what one charged event costs, its fixed fee included. Raises Invalid for a minimum above the
    maximum.
    """

    model: ClassVar[str] = "percentage"
    rate: Fraction
    fixed_fee: Fraction = Fraction(0)
    free_events: int | None = None
    free_total: Fraction | None = None
    minimum: Fraction | None = None
    maximum: Fraction | None = None

    def __post_init__(self) -> None:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise Invalid("minimum is above maximum; what an event costs lies between the two")

    @property
    def reads_events(self) -> bool:
        """Whether the totals are not enough."""
        return bool(self.free_events or self.free_total or self.minimum or self.maximum is not None)

    def price(self, measured: Measured) -> tuple[Component, ...]:
        if self.reads_events:
            charged = list(self.each(measured.events()))
            base = sum((it.amount for it in charged), Fraction(0))
            events, limits = sum(it.events for it in charged), sum((it.limits for it in charged), Fraction(0))
        else:
            base, events, limits = max(measured.quantity, Fraction(0)), measured.count, Fraction(0)
        return (
            *priced(name=PERCENTAGE, position=1, quantity=base, unit_price=self.rate * PERCENT),
            *priced(name=FIXED_FEE, position=2, quantity=Fraction(events), unit_price=self.fixed_fee),
            *priced(name=PER_EVENT_LIMITS, position=3, quantity=limits, unit_price=Fraction(1)),
        )

    def each(self, values: Sequence[Fraction]) -> Iterator[EventCharged]:
        """What is charged of each event, in time order."""
        running = Fraction(0)
        bounded = bool(self.free_events or self.free_total)
        for number, value in enumerate(values, start=1):
            free = bounded
            if self.free_events:
                free &= number <= self.free_events
            left = value
            if free and self.free_total:
                left = max(min(value, running + value - self.free_total), Fraction(0))
                free = running + value <= self.free_total
            running += value
            if free:
                yield FREE
                continue
            cost = left * self.rate * PERCENT + self.fixed_fee
            held = cost if self.minimum is None else max(cost, self.minimum)
            held = held if self.maximum is None else min(held, self.maximum)
            yield EventCharged(left, 1, held - cost)
