"""What a plan may say that no close carries out yet: refused when it is applied, never ignored when it is billed."""

from collections.abc import Callable

from billing.core.charges import Charge, Event, Usage
from billing.core.prices import Percentage


def _reads_events(charge: Charge) -> bool:
    match charge:
        case Usage():
            return charge.calculator.reads_events()
        case Event():
            return isinstance(charge.price, Percentage) and charge.price.reads_events
        case _:
            return False


NOT_CLOSED_YET: dict[str, Callable[[Charge], bool]] = {
    "a pool whose price looks at each event": lambda charge: charge.scope != "item" and _reads_events(charge),
}
"""Each with its name in messages; `metergate price` values them all."""


def not_closed_yet(charge: Charge) -> list[str]:
    """What keeps a charge from being billed, as sentences."""
    return [
        f"{name} is understood, but not billed by this release; `metergate price` values it"
        for name, holds in NOT_CLOSED_YET.items()
        if holds(charge)
    ]
