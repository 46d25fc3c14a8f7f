"""The value of a checked expression: exact, each part at most once, and no number without bounds."""

import operator
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TypeAlias, assert_never, cast

from billing.core.errors import Invalid
from billing.core.expressions.parsing import wrong
from billing.core.expressions.tree import (
    Attribute,
    Binary,
    Call,
    Choice,
    Has,
    In,
    Name,
    Negative,
    Node,
    Not,
    Number,
    Text,
    Truth,
)
from billing.core.money import exact_text, round_half_away

BITS_LIMIT = 4096
"""Of a number's numerator and denominator: far above any amount, and far below what costs time."""
PLAIN_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,18})?")
Value: TypeAlias = Fraction | str | bool


def evaluate(node: Node, names: Mapping[str, Fraction], attributes: Mapping[str, str]) -> Value:
    """What the expression comes to.

    Raises Invalid, with its place, for a division by zero, an attribute that the object does not have, a text that is
    no number, and a number that grows beyond all measure.
    """
    return _Evaluation(names, attributes).value(node)


class _Evaluation:
    def __init__(self, names: Mapping[str, Fraction], attributes: Mapping[str, str]) -> None:
        self.names, self.attributes = names, attributes

    def number(self, node: Node) -> Fraction:
        return cast("Fraction", self.value(node))

    def truth(self, node: Node) -> bool:
        return cast("bool", self.value(node))

    def value(self, node: Node) -> Value:  # noqa: C901, PLR0911 - one case for each part of the language
        match node:
            case Number() | Text() | Truth():
                return node.value
            case Name():
                return self.names[node.name]
            case Attribute():
                if node.name not in self.attributes:
                    raise wrong(node.at, f"the object has no attribute {node.name!r}; ask has(attributes...) first")
                return self.attributes[node.name]
            case Has():
                return node.name in self.attributes
            case Not():
                return not self.truth(node.inner)
            case Negative():
                return -self.number(node.inner)
            case Binary():
                return self._binary(node)
            case In():
                value = self.value(node.value)
                return any(value == self.value(item) for item in node.items)
            case Choice():
                return self.value(node.then if self.truth(node.condition) else node.otherwise)
            case Call():
                return _bounded(_call(node, [self.value(it) for it in node.arguments]), node.at)
            case _:
                assert_never(node)

    def _binary(self, node: Binary) -> Value:
        match node.operator:
            case "&&" | "||":
                return self._logic(node, decides=node.operator == "||")
            case "==" | "!=" | "<" | "<=" | ">" | ">=":
                return COMPARISONS[node.operator](self.value(node.left), self.value(node.right))
            case "+" | "-" | "*":
                found = ARITHMETIC[node.operator](self.number(node.left), self.number(node.right))
                return _bounded(found, node.at)
            case "/" | "%":
                left, right = self.number(node.left), self.number(node.right)
                if not right:
                    raise wrong(node.at, "this divides by 0; ask first whether it is 0")
                if node.operator == "/":
                    return _bounded(left / right, node.at)
                return left - right * _trunc(left / right)
            case _:
                assert_never(node.operator)

    def _logic(self, node: Binary, *, decides: bool) -> bool:
        """As CEL has it: one side that decides is enough, even when the other one fails."""
        try:
            if self.truth(node.left) is decides:
                return decides
        except Invalid:
            if self.truth(node.right) is decides:
                return decides
            raise
        return self.truth(node.right)


COMPARISONS: Mapping[str, Callable[[Value, Value], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
ARITHMETIC: Mapping[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}


def _trunc(value: Fraction) -> Fraction:
    return Fraction(int(value))


NUMERIC: Mapping[str, Callable[[Fraction], Fraction]] = {
    "math.ceil": lambda value: Fraction(-(-value.numerator // value.denominator)),
    "math.floor": lambda value: Fraction(value.numerator // value.denominator),
    "math.round": lambda value: Fraction(round_half_away(value)),
    "math.trunc": _trunc,
    "math.abs": abs,
    "math.sign": lambda value: Fraction((value > 0) - (value < 0)),
}
TEXTUAL: Mapping[str, Callable[[str, str], bool]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": operator.contains,
}


SPECIAL: Mapping[str, Callable[[Call, list[Value]], Value]] = {
    "math.least": lambda _, values: min(cast("list[Fraction]", values)),
    "math.greatest": lambda _, values: max(cast("list[Fraction]", values)),
    "double": lambda node, values: _as_number(node, values[0]),
    "int": lambda node, values: _trunc(_as_number(node, values[0])),
    "size": lambda _, values: Fraction(len(cast("str", values[0]))),
    "string": lambda _, values: _as_text(values[0]),
}


def _call(node: Call, arguments: list[Value]) -> Value:
    if node.function in NUMERIC:
        return NUMERIC[node.function](cast("Fraction", arguments[0]))
    if node.function in TEXTUAL:
        return TEXTUAL[node.function](cast("str", arguments[0]), cast("str", arguments[1]))
    return SPECIAL[node.function](node, arguments)


def _as_number(node: Call, value: Value) -> Fraction:
    if isinstance(value, Fraction):
        return value
    if isinstance(value, str) and PLAIN_NUMBER.fullmatch(value):
        return Fraction(value)
    raise wrong(node.at, f"{node.function} takes a number, but the text is {str(value)[:60]!r}")


def _as_text(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case Fraction():
            return exact_text(value)
        case _:
            return value


def _bounded(value: Value, at: int) -> Value:
    if isinstance(value, Fraction) and max(value.numerator.bit_length(), value.denominator.bit_length()) > BITS_LIMIT:
        raise wrong(at, "the number grows beyond all measure here; make it smaller before")
    return value
