"""A price that an installed Python calculator gives, named with its version: the plan says which, for ever."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any, ClassVar

from billing.core.errors import Invalid
from billing.core.extension import Option, PeriodUsage, PricedPart, UsageCalculator
from billing.core.measured import Measured
from billing.core.money import exact_text
from billing.core.prices.component import RESERVED, Component, priced
from billing.core.prices.context import Context

PARTS_LIMIT = 100
"""Parts of one period: more is a table that nobody reads on an invoice."""
NAME_LIMIT = 60
BITS_LIMIT = 4096
"""Of a number's numerator and denominator: far above any amount, and far below what costs time."""
OPTIONS_LIMIT = 100
TEXT_LIMIT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the plan sets for a calculator: texts, integers, and true or false."""

    pairs: tuple[tuple[str, Option], ...] = ()

    @classmethod
    def from_entry(cls, value: object) -> "Options":
        if not isinstance(value, Mapping) or len(value) > OPTIONS_LIMIT:
            raise Invalid(f"should be a mapping of at most {OPTIONS_LIMIT} names to values, such as {{base: 16}}")
        for name, option in value.items():
            if not isinstance(name, str) or not isinstance(option, str | int | bool) or len(str(option)) > TEXT_LIMIT:
                raise Invalid(f"{name}: {str(option)[:60]!r} should be a text, an integer, true or false")
        return cls(pairs=tuple(sorted(value.items())))

    def as_entry(self) -> dict[str, Option]:
        return dict(self.pairs)


NO_OPTIONS = Options()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """What the calculator `name` in `version` gives for the period; with `reads_records` it sees each record."""

    model: ClassVar[str] = "calculator"
    name: str
    version: str
    reads_records: bool = False
    options: Options = NO_OPTIONS

    def found(self, calculators: Mapping[tuple[str, str], UsageCalculator]) -> UsageCalculator:
        """Raises Invalid, with the versions that are installed, when this one is not."""
        calculator = calculators.get((self.name, self.version))
        if calculator is not None:
            return calculator
        versions = sorted(version for name, version in calculators if name == self.name)
        there = f"installed is {', '.join(versions)}" if versions else "no version of it is"
        raise Invalid(
            f"calculator {self.name} {self.version} is not installed, {there}; install the package that has it"
        )

    def price(self, measured: Measured, context: Context) -> tuple[Component, ...]:
        """Raises Invalid when the calculator is not installed, fails, or gives what is no price."""
        usage = PeriodUsage(
            quantity=measured.quantity,
            count=measured.count,
            values=measured.events() if self.reads_records else None,
            part=context.part,
            days=context.days,
            number=context.number,
            attributes=MappingProxyType(dict(context.attributes)),
            options=MappingProxyType(dict(self.options.pairs)),
        )
        return price_with(self.found(context.calculators), usage)


def price_with(calculator: UsageCalculator, usage: PeriodUsage) -> tuple[Component, ...]:
    """The components of a calculator's parts, checked. Raises Invalid for whatever it does wrong."""
    name = f"calculator {calculator.name} {calculator.version}"
    try:
        parts = calculator.price(usage)
    except Exception as error:
        said = str(error) or type(error).__name__
        raise Invalid(f"{name} failed: {said[:200]}") from error
    return _checked(name, parts)


def _checked(name: str, parts: object) -> tuple[Component, ...]:
    if not isinstance(parts, Iterable) or isinstance(parts, str):
        raise Invalid(f"{name} gave {str(parts)[:60]!r}; it should give a sequence of PricedPart")
    components: list[Component] = []
    seen: set[str] = set()
    for place, part in enumerate(parts, start=1):
        if place > PARTS_LIMIT:
            raise Invalid(f"{name} gave more than {PARTS_LIMIT} parts")
        if not isinstance(part, PricedPart):
            raise Invalid(f"{name} gave {str(part)[:60]!r}; it should be a PricedPart")
        _check_name(name, part.name, seen)
        quantity = _exact(name, f"the quantity of {part.name}", part.quantity)
        unit_price = _exact(name, f"the unit price of {part.name}", part.unit_price)
        components += priced(name=part.name, position=place, quantity=quantity, unit_price=unit_price)
    total = sum((component.amount for component in components), Fraction(0))
    if total < 0:
        raise Invalid(f"{name} comes to {exact_text(total)[:60]}, but a price is 0 or more")
    return tuple(components)


def _check_name(name: str, part: object, seen: set[str]) -> None:
    if not isinstance(part, str) or not 1 <= len(part) <= NAME_LIMIT or not part.isprintable() or part != part.strip():
        raise Invalid(f"{name} named a part {str(part)[:60]!r}; a name is 1 to {NAME_LIMIT} printable characters")
    if part in RESERVED or "/" in part or part in seen:
        raise Invalid(f"{name} named a part {part!r}; the name is taken, or has a slash: choose another one")
    seen.add(part)


def _exact(name: str, what: str, value: Any) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, Fraction | Decimal | int):
        raise Invalid(
            f"{name} gave {value!r} as {what}; it should be a Fraction, a Decimal or an integer, never a float"
        )
    if isinstance(value, Decimal) and (not value.is_finite() or abs(value.adjusted()) > BITS_LIMIT // 4):
        raise Invalid(f"{name} gave {value} as {what}, which is beyond all measure")
    exact = Fraction(value)
    if max(exact.numerator.bit_length(), exact.denominator.bit_length()) > BITS_LIMIT:
        raise Invalid(f"{name} gave {what} beyond all measure")
    return exact
