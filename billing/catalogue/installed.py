"""Whether the Python calculators that a charge names are here and take what the plan sets for them."""

from collections.abc import Iterator
from types import MappingProxyType

from billing.core.charges import Charge, rules_of
from billing.core.errors import Invalid
from billing.core.prices import Plugin
from billing.extension import installed


def wrong_calculators(charge: Charge) -> Iterator[str]:
    """What keeps the calculators of a charge from pricing, as sentences."""
    for price in rules_of(charge):
        if not isinstance(price, Plugin):
            continue
        try:
            calculator = price.found(installed())
        except Invalid as error:
            yield error.message
            continue
        name = f"calculator {price.name} {price.version}"
        if calculator.reads_records != price.reads_records:
            yield f"{name} needs reads_records: {str(calculator.reads_records).lower()}"
        try:
            calculator.check(MappingProxyType(dict(price.options.pairs)))
        except Exception as error:  # noqa: BLE001 - others wrote it, and any failure is theirs
            yield f"{name} does not take these options: {str(error)[:200] or type(error).__name__}"
