"""The kit that the author of a calculator runs in a test: the contract, purity and exactness, on many usages.

from billing.extension.testkit import examine
def test_it_is_a_calculator():
    examine(DegreeDays(), options={"base": 16}, examples=[(PeriodUsage(quantity=Fraction(3)), "7.50")])
"""

import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal, getcontext
from fractions import Fraction
from itertools import pairwise, product
from types import MappingProxyType
from typing import Any

from billing.core.errors import Invalid
from billing.core.extension import Option, PeriodUsage, UsageCalculator
from billing.core.money import exact_text
from billing.core.prices.component import Component, worth
from billing.core.prices.plugin import price_with
from billing.extension.found import problems_of

OUTSIDE = ("open", "os.", "socket.", "subprocess.", "sqlite3.", "shutil.", "exec", "compile")
"""Audit events of Python that a pure function has no reason to cause."""
NO_OPTIONS: Mapping[str, Option] = MappingProxyType({})
NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})


class NotACalculator(AssertionError):
    """What the kit found, in one sentence, with the usage that shows it."""


def examine(
    calculator: UsageCalculator,
    *,
    options: Mapping[str, Option] = NO_OPTIONS,
    attributes: Mapping[str, str] = NO_ATTRIBUTES,
    examples: Sequence[tuple[PeriodUsage, str]] = (),
    rising: bool = False,
) -> None:
    """Raises NotACalculator for the first thing that is wrong.

    `options` and `attributes` are some that the calculator takes; `examples` are usages with the exact amount that they
    come to, as text ("7.5", "22/31"). With `rising`, more usage must never cost less.
    """
    for problem in problems_of(calculator):
        raise NotACalculator(problem)
    _check_options(calculator, options)
    for example, expected in examples:
        usage = replace(example, options=example.options or options, attributes=example.attributes or attributes)
        amount = worth(_priced(calculator, usage))
        if amount != Fraction(expected):
            raise NotACalculator(f"{usage} comes to {exact_text(amount)}, not to {expected}")
    usages = list(many_usages(options, attributes, records=calculator.reads_records))
    first = [_priced(calculator, usage) for usage in usages]
    with _other_surroundings():
        for usage, before in reversed(list(zip(usages, first, strict=True))):
            if _priced(calculator, usage) != before:
                raise NotACalculator(f"the same input came to something else the second time: {usage}")
    if rising:
        _check_rising(usages, first)


def many_usages(
    options: Mapping[str, Option], attributes: Mapping[str, str], *, records: bool
) -> Iterator[PeriodUsage]:
    """Nothing, a little, a third, much; whole periods and parts; with the attributes and without."""
    sizes = [(), ("0",), ("1",), ("1/3", "0.000001"), ("12", "30", "7.5"), ("123456789012345",), ("2",) * 100]
    for values, part, number, known in product(sizes, ("1", "1/31", "0"), (1, 13), ({}, attributes)):
        exact = tuple(Fraction(value) for value in values)
        yield PeriodUsage(
            quantity=sum(exact, Fraction(0)),
            count=len(exact),
            values=exact if records else None,
            part=Fraction(part),
            days=31,
            number=number,
            attributes=MappingProxyType(dict(known)),
            options=MappingProxyType(dict(options)),
        )


def _check_options(calculator: UsageCalculator, options: Mapping[str, Option]) -> None:
    try:
        calculator.check(MappingProxyType(dict(options)))
    except Exception as error:
        raise NotACalculator(f"check refuses the options of this test: {error}") from error
    try:
        calculator.check(MappingProxyType({**options, "no such option": 1}))
    except ValueError:
        return
    raise NotACalculator("check takes the option 'no such option'; what is not understood should be a ValueError")


def _priced(calculator: UsageCalculator, usage: PeriodUsage) -> tuple[Component, ...]:
    with _watched() as seen:
        try:
            components = price_with(calculator, usage)
        except Invalid as error:
            if isinstance(error.__cause__, ValueError):
                return ()  # usage that the calculator says has no price
            raise NotACalculator(f"{error.message}, for {usage}") from error
    if seen:
        raise NotACalculator(f"it looks outside its input ({seen[0]}), for {usage}")
    return components


def _check_rising(usages: Sequence[PeriodUsage], priced: Sequence[tuple[Component, ...]]) -> None:
    by_period: dict[Any, list[tuple[Fraction, Fraction]]] = {}
    for usage, components in zip(usages, priced, strict=True):
        period = (usage.part, usage.number, tuple(usage.attributes.items()))
        by_period.setdefault(period, []).append((usage.quantity, worth(components)))
    for found in by_period.values():
        for (less, cheap), (more, dear) in pairwise(sorted(found)):
            if dear < cheap:
                amounts = f"{exact_text(cheap)}, but {exact_text(more)} costs {exact_text(dear)}"
                raise NotACalculator(f"more usage costs less: {exact_text(less)} costs {amounts}")


@contextmanager
def _other_surroundings() -> Iterator[None]:
    """Another seed and another decimal context: what depends on them is not pure."""
    state, precision = random.getstate(), getcontext().prec
    random.seed(20220414)
    getcontext().prec = 9
    try:
        yield
    finally:
        random.setstate(state)
        getcontext().prec = precision


_watching: list[list[str]] = []


@contextmanager
def _watched() -> Iterator[list[str]]:
    """What happens outside while it lasts; a hook of Python's stays for the process, and is deaf afterwards."""
    _listen()
    seen: list[str] = []
    _watching.append(seen)
    try:
        yield seen
    finally:
        _watching.pop()


_hooked: list[bool] = []


def _listen() -> None:
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(_heard)


def _heard(event: str, _: object) -> None:
    if _watching and event.startswith(OUTSIDE):
        _watching[-1].append(event)


__all__ = ["Decimal", "Fraction", "NotACalculator", "PeriodUsage", "examine", "many_usages"]
