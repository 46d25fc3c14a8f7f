"""What of a pool is an object's own: its events, where the price of each event is known.

The law: what objects have of a line adds up to the line's quantity; whose event was free or bounded follows from the
order of time alone.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import partial

from billing.core.charges import Charge, Event, Usage
from billing.core.measured import Measured
from billing.core.prices import Percentage, Price
from billing.core.prices.component import FIXED_FEE, PER_EVENT_LIMITS, PERCENTAGE

Uses = Mapping[str, Measured]
"""By the object's reference, what it used."""
Naming = Callable[[str], str]
"""From the name of a price's component to that of its line."""
Own = dict[str, dict[str, Fraction]]
"""By the name of a line, what each object has of its quantity."""


def own_events(charge: Charge, measured: Measured, uses: Uses) -> Own:
    """What each object has of the lines of a pool for its own events; nothing where a line is not made of events.

    `measured` is what the pool used, in time order; `uses` what each of its objects did.
    """
    found: Own = {}
    for name, price, used, of_objects in _priced(charge, measured, uses):
        if isinstance(price, Percentage):
            for component, quantities in _own(price, used, of_objects).items():
                found[name(component)] = quantities
    return found


def _priced(charge: Charge, measured: Measured, uses: Uses) -> Iterator[tuple[Naming, Price | None, Measured, Uses]]:
    """Each price of a charge with what it is the price of, and how its lines are named."""
    match charge:
        case Usage() if charge.calculator.by is None:
            yield str, charge.calculator.price, measured, uses
        case Usage():
            for value, used in measured.parts:
                parts = {who: part for who, use in uses.items() for of, part in use.parts if of == value}
                yield partial(charge.calculator.line_name, value), charge.calculator.price_of(value), used, parts
        case Event():
            yield str, charge.price, measured, uses
        case _:
            return


def _own(price: Percentage, measured: Measured, uses: Uses) -> Own:
    if not price.reads_events:
        return {FIXED_FEE: {who: Fraction(use.count) for who, use in uses.items()}}
    found: Own = defaultdict(lambda: defaultdict(Fraction))
    for moment, charged in zip(measured.moments, price.each(measured.events()), strict=True):
        found[PERCENTAGE][moment.owner] += charged.amount
        found[FIXED_FEE][moment.owner] += charged.events
        found[PER_EVENT_LIMITS][moment.owner] += charged.limits
    return found
