"""Calculators in Python that others write: the contract they keep, those that are installed, and the kit to test one.

An author imports from here, and registers the calculator under the entry point group `metergate.calculators`.
"""

from billing.core.extension import Option, PeriodUsage, PricedPart, UsageCalculator
from billing.extension.found import GROUP, installed

__all__ = ["GROUP", "Option", "PeriodUsage", "PricedPart", "UsageCalculator", "installed"]
