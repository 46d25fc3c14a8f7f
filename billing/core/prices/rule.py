"""A price of one's own: an expression over the period's usage and the object's attributes, in the syntax of CEL."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import ClassVar, cast

from billing.core.errors import Invalid
from billing.core.expressions import evaluate, parse
from billing.core.expressions.checking import check_number, named
from billing.core.expressions.tree import Node
from billing.core.measured import Measured
from billing.core.money import exact_text
from billing.core.prices.component import RULE, Component, priced
from billing.core.prices.context import Context

OF_VALUES: Mapping[str, Callable[[Sequence[Fraction]], Fraction]] = {
    "sum": lambda values: sum(values, Fraction(0)),
    "max": max,
    "min": min,
    "mean": lambda values: sum(values, Fraction(0)) / len(values),
    "latest": lambda values: values[-1],
}
"""What an expression reads from the records one by one, in time order."""


@dataclass(frozen=True, slots=True)
class Expression:
    """The text of an expression that comes to a number, read and checked once."""

    text: str
    tree: Node = field(repr=False, compare=False)
    names: frozenset[str] = field(repr=False, compare=False)
    attributes: frozenset[str] = field(repr=False, compare=False)

    @classmethod
    def from_entry(cls, value: object) -> "Expression":
        """Raises Invalid with the place of what is wrong in the text."""
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or not value.strip():
            raise Invalid(f'{str(value)[:60]!r} should be an expression in quotes, such as "quantity * 0.20"')
        text = value.strip()
        tree = parse(text)
        check_number(tree)
        return cls(text, tree, *named(tree))

    def as_entry(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The amount that `expression` comes to, in major units; it is never below zero."""

    model: ClassVar[str] = "rule"
    expression: Expression

    @property
    def reads_events(self) -> bool:
        """Whether it looks at more than the quantity and the count."""
        return not self.expression.names.isdisjoint(OF_VALUES)

    def price(self, measured: Measured, context: Context) -> tuple[Component, ...]:
        """Raises Invalid for what the expression cannot come to with this usage, and for an amount below zero."""
        names = {
            "quantity": measured.quantity,
            "count": Fraction(measured.count),
            "part": context.part,
            "days": Fraction(context.days),
            "number": Fraction(context.number),
        }
        for name in self.expression.names & OF_VALUES.keys():
            values = measured.events()
            names[name] = OF_VALUES[name](values) if values else Fraction(0)
        try:
            amount = cast("Fraction", evaluate(self.expression.tree, names, context.attributes))
        except Invalid as error:
            raise Invalid(f"the rule cannot be evaluated: {error.message}") from None
        if amount < 0:
            raise Invalid(
                f"the rule comes to {exact_text(amount)[:60]}, but a price is 0 or more; "
                "write math.greatest(0, ...) around it"
            )
        return priced(name=RULE, position=1, quantity=amount, unit_price=Fraction(1))
