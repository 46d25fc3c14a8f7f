"""What a rule may know beside the usage of a period: the object's attributes and the period itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from billing.core.extension import UsageCalculator


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """`part` is what was served of the whole period, `days` how long it is, `number` which one it is, from 1.

    `attributes` are the object's, as texts; `calculators` those that are installed, by name and version.
    """

    part: Fraction = Fraction(1)
    days: int = 0
    number: int = 1
    attributes: Mapping[str, str] = field(default_factory=dict)
    calculators: Mapping[tuple[str, str], UsageCalculator] = field(default_factory=dict)


NO_CONTEXT = Context()
