"""What an expression comes to, a number, a text or a truth, told before it is ever evaluated."""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, assert_never

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

Kind = Literal["number", "text", "truth"]
NAMES: Mapping[str, str] = {
    "quantity": "what the calculator measures, converted",
    "count": "how many usage records there are",
    "sum": "their sum",
    "max": "the largest",
    "min": "the smallest",
    "mean": "their mean",
    "latest": "the last one in time",
    "part": "what was served of the whole period, from 0 to 1",
    "days": "how many days the period has",
    "number": "which period of the service it is, from 1",
}
"""What an expression may name, all of it numbers; those between count and part are 0 without records."""


class Signature(NamedTuple):
    """What a function takes, the last one any number of times when it is `repeats`, and what it gives."""

    takes: tuple[frozenset[Kind], ...]
    gives: Kind
    repeats: bool = False


_NUMBER, _TEXT = frozenset[Kind]({"number"}), frozenset[Kind]({"text"})
_ANY = frozenset[Kind]({"number", "text", "truth"})
SIGNATURES: Mapping[str, Signature] = {
    "math.least": Signature((_NUMBER,), "number", repeats=True),
    "math.greatest": Signature((_NUMBER,), "number", repeats=True),
    "math.ceil": Signature((_NUMBER,), "number"),
    "math.floor": Signature((_NUMBER,), "number"),
    "math.round": Signature((_NUMBER,), "number"),
    "math.trunc": Signature((_NUMBER,), "number"),
    "math.abs": Signature((_NUMBER,), "number"),
    "math.sign": Signature((_NUMBER,), "number"),
    "double": Signature((_NUMBER | _TEXT,), "number"),
    "int": Signature((_NUMBER | _TEXT,), "number"),
    "string": Signature((_ANY,), "text"),
    "size": Signature((_TEXT,), "number"),
    "startsWith": Signature((_TEXT, _TEXT), "truth"),
    "endsWith": Signature((_TEXT, _TEXT), "truth"),
    "contains": Signature((_TEXT, _TEXT), "truth"),
}
WORDS: Mapping[Kind, str] = {"number": "a number", "text": "a text", "truth": "true or false"}


def check(node: Node, names: Mapping[str, str] = NAMES) -> Kind:  # noqa: C901, PLR0911, PLR0912 - one case for each part of the language
    """What the expression comes to.

    Raises Invalid, with its place, for an unknown name and for kinds that do not go together.
    """
    match node:
        case Number():
            return "number"
        case Text() | Attribute():
            return "text"
        case Truth() | Has():
            return "truth"
        case Name():
            if node.name not in names:
                raise wrong(node.at, f"{node.name!r} is not known; known are {', '.join(names)}, attributes")
            return "number"
        case Not():
            _want(node.inner, "truth", "!", names)
            return "truth"
        case Negative():
            _want(node.inner, "number", "-", names)
            return "number"
        case Binary():
            return _binary(node, names)
        case In():
            value = check(node.value, names)
            for item in node.items:
                _want(item, value, "in", names)
            return "truth"
        case Choice():
            _want(node.condition, "truth", "?", names)
            then = check(node.then, names)
            _want(node.otherwise, then, ":", names)
            return then
        case Call():
            return _call(node, names)
        case _:
            assert_never(node)


def _want(node: Node, wanted: Kind, operator: str, names: Mapping[str, str]) -> None:
    found = check(node, names)
    if found != wanted:
        hint = "; write double(...) around it" if (found, wanted) == ("text", "number") else ""
        raise wrong(node.at, f"{operator!r} takes {WORDS[wanted]} here, but this is {WORDS[found]}{hint}")


def _binary(node: Binary, names: Mapping[str, str]) -> Kind:
    match node.operator:
        case "||" | "&&":
            _want(node.left, "truth", node.operator, names)
            _want(node.right, "truth", node.operator, names)
            return "truth"
        case "==" | "!=" | "<" | "<=" | ">" | ">=":
            left = check(node.left, names)
            if left == "text" and check(node.right, names) == "number":
                raise wrong(
                    node.left.at, f"{node.operator!r} compares a text with a number; write double(...) around it"
                )
            _want(node.right, left, node.operator, names)
            return "truth"
        case "+" | "-" | "*" | "/" | "%":
            _want(node.left, "number", node.operator, names)
            _want(node.right, "number", node.operator, names)
            return "number"
        case _:
            assert_never(node.operator)


def _call(node: Call, names: Mapping[str, str]) -> Kind:
    signature = SIGNATURES.get(node.function)
    if signature is None:
        known = ", ".join(sorted({*SIGNATURES, "has"}))
        raise wrong(node.at, f"the function {node.function!r} is not known; known are {known}")
    given, takes = len(node.arguments), len(signature.takes)
    if given != takes and not (signature.repeats and given > takes):
        raise wrong(node.at, f"{node.function} takes {takes}{' or more' * signature.repeats} values, not {given}")
    for place, argument in enumerate(node.arguments):
        allowed = signature.takes[min(place, takes - 1)]
        found = check(argument, names)
        if found not in allowed:
            wanted = " or ".join(WORDS[kind] for kind in ("number", "text", "truth") if kind in allowed)
            hint = "; write double(...) around it" if found == "text" else ""
            raise wrong(argument.at, f"{node.function} takes {wanted}, but this is {WORDS[found]}{hint}")
    return signature.gives


def check_number(node: Node, names: Mapping[str, str] = NAMES) -> None:
    """Raises Invalid unless the expression comes to a number."""
    found = check(node, names)
    if found != "number":
        raise Invalid(f"the expression comes to {WORDS[found]}; it should be an amount, in units of the currency")


def named(node: Node) -> tuple[frozenset[str], frozenset[str]]:
    """The names, and the attributes, that an expression reads."""
    names: set[str] = set()
    attributes: set[str] = set()

    def walk(part: Node) -> None:
        match part:
            case Name():
                names.add(part.name)
            case Attribute() | Has():
                attributes.add(part.name)
            case Number() | Text() | Truth():
                pass
            case Not() | Negative():
                walk(part.inner)
            case Binary():
                walk(part.left)
                walk(part.right)
            case In():
                walk(part.value)
                _each(walk, part.items)
            case Choice():
                _each(walk, (part.condition, part.then, part.otherwise))
            case Call():
                _each(walk, part.arguments)
            case _:
                assert_never(part)

    walk(node)
    return frozenset(names), frozenset(attributes)


def _each(walk: Callable[[Node], None], parts: tuple[Node, ...]) -> None:
    for part in parts:
        walk(part)
