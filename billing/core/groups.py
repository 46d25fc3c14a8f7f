"""What a period measured, from the totals of each set of properties: as `measure_records`, without a single record.

The law: for what can be said in this way (`Calculator.from_groups`), both say the same.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from billing.core.calculators import Calculator
from billing.core.errors import Invalid
from billing.core.measured import Measured
from billing.core.properties import Properties, property_text
from billing.core.usage import Aggregation


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Records of one object in one period that carry the same properties, at least one, added up."""

    properties: Properties
    count: int
    total: Fraction
    top: Fraction
    low: Fraction


def measure_groups(calculator: Calculator, groups: Iterable[Group]) -> Measured:
    """What the calculator measures of all groups, in any order. Raises Invalid where they do not tell it."""
    if not calculator.from_groups():
        raise Invalid(f"{calculator.aggregation} is measured from the usage records, not from totals")
    taken = [it for it in groups if calculator.filter is None or calculator.filter.takes(it.properties)]
    whole = _measure(calculator, taken)
    if calculator.by is None:
        return whole
    parts: dict[str, list[Group]] = {}
    for group in taken:
        parts.setdefault(property_text(group.properties.get(calculator.by)), []).append(group)
    measured = tuple((value, _measure(calculator, parts[value])) for value in sorted(parts))
    return Measured(quantity=whole.quantity, count=whole.count, parts=measured)


def _measure(calculator: Calculator, groups: Sequence[Group]) -> Measured:
    count = sum(group.count for group in groups)
    if calculator.property is not None:
        return Measured(quantity=_unique(calculator.property, groups), count=count)
    return Measured(quantity=AGGREGATED[calculator.aggregation](groups) if groups else Fraction(0), count=count)


def _unique(name: str, groups: Sequence[Group]) -> Fraction:
    return Fraction(len({group.properties[name] for group in groups if name in group.properties}))


def _total(groups: Sequence[Group]) -> Fraction:
    return sum((group.total for group in groups), Fraction(0))


def _count(groups: Sequence[Group]) -> Fraction:
    return Fraction(sum(group.count for group in groups))


AGGREGATED: Mapping[Aggregation, Callable[[Sequence[Group]], Fraction]] = {
    "sum": _total,
    "count": _count,
    "mean": lambda groups: _total(groups) / _count(groups),
    "max": lambda groups: max(group.top for group in groups),
    "min": lambda groups: min(group.low for group in groups),
}
"""For at least one group."""
