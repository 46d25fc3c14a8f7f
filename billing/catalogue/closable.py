"""What a plan may say that no close carries out yet: refused when it is applied, never ignored when it is billed."""

from collections.abc import Callable

from billing.core.charges import Charge, Event, OneTime, Usage
from billing.core.prices import Percentage
from billing.core.usage import FROM_TOTALS

NOT_CLOSED_YET: dict[str, Callable[[Charge], bool]] = {
    "scope: subscription and contract": lambda charge: charge.scope != "item",
    "discount: periods": lambda charge: charge.discount is not None and charge.discount.periods is not None,
    "prorate: second": lambda charge: not isinstance(charge, OneTime) and charge.prorate == "second",
    "type: event": lambda charge: isinstance(charge, Event),
    "recurring": lambda charge: isinstance(charge, Usage) and charge.calculator.recurring,
    "filter": lambda charge: isinstance(charge, Usage) and charge.calculator.filter is not None,
    "by": lambda charge: isinstance(charge, Usage) and charge.calculator.by is not None,
    "this aggregation": lambda charge: isinstance(charge, Usage) and charge.calculator.aggregation not in FROM_TOTALS,
    "a percentage with free events, a free total or limits per event": lambda charge: (
        isinstance(charge, Usage)
        and any(isinstance(price, Percentage) and price.reads_events for price in charge.calculator.all_prices())
    ),
}
"""Each with its name in messages; `metergate price` values them all."""


def not_closed_yet(charge: Charge) -> list[str]:
    """What keeps a charge from being billed, as sentences."""
    return [
        f"{name} is understood, but not billed by this release; `metergate price` values it"
        for name, holds in NOT_CLOSED_YET.items()
        if holds(charge)
    ]
