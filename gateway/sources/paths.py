"""Paths into a message: JMESPath, parsed once by its library; plain names and indexes are walked without it.

The law: a path only selects. What would compute (functions that make floats, literals that are floats) is refused when
the source is declared.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import jmespath
from jmespath import exceptions

PATH_LIMIT = 300
"""Characters of one path."""
FUNCTIONS = frozenset({"join", "keys", "length", "max_by", "min_by", "not_null", "sort_by", "starts_with", "values"})
"""Those that select or join texts; the others of JMESPath compute with floats, or are not needed to find a value."""
Find = Callable[[Any], Any]
_Step = str | int


class PathInvalid(ValueError):
    """The sentence says what is wrong with a path."""


def compile_path(text: str) -> Find:
    """What finds the value at `text` in a document, None when it is not there. Raises PathInvalid."""
    if not text or len(text) > PATH_LIMIT:
        raise PathInvalid(f"a path has 1 to {PATH_LIMIT} characters, got {len(text)}")
    try:
        expression = jmespath.compile(text)
    except (exceptions.JMESPathError, RecursionError) as error:
        raise PathInvalid(f"{text!r} is not a JMESPath: {str(error).splitlines()[0]}") from None
    walk = _walk(expression.parsed)
    if walk is not None:
        return walk
    _check(expression.parsed, text)

    def search(document: Any) -> Any:
        try:
            return expression.search(document)
        except (exceptions.JMESPathError, ArithmeticError, TypeError, ValueError, RecursionError):
            return None  # of another type than the path expects: it is not there

    return search


def _walk(node: Mapping[str, Any]) -> Find | None:
    """The walk of a plain path, or of several with `||` between them: the first that is there."""
    if node["type"] == "or_expression":
        either, otherwise = (_walk(child) for child in node["children"])
        if either is None or otherwise is None:
            return None
        one, other = either, otherwise

        def first(document: Any) -> Any:
            value = one(document)
            # What JMESPath calls false; 0 is a value.
            return other(document) if value is None or value is False or value in ("", [], {}) else value

        return first
    steps = _steps(node)
    return None if steps is None else _walker(steps)


def _steps(node: Mapping[str, Any]) -> tuple[_Step, ...] | None:
    """The names and indexes of a path that has nothing else."""
    match node["type"]:
        case "current" | "identity":
            return ()
        case "field":
            return (str(node["value"]),)
        case "index":
            return (int(node["value"]),)
        case "subexpression" | "index_expression":
            parts = [_steps(child) for child in node["children"]]
            return None if any(part is None for part in parts) else tuple(step for part in parts for step in part or ())
        case _:
            return None


def _walker(steps: tuple[_Step, ...]) -> Find:
    if len(steps) == 1 and isinstance(steps[0], str):
        name: Final = steps[0]
        return lambda document: document.get(name) if document.__class__ is dict else None

    def walk(document: Any) -> Any:
        for step in steps:
            if document.__class__ is dict:
                document = document.get(step) if step.__class__ is str else None
            elif document.__class__ is list and step.__class__ is int:
                document = document[step] if -len(document) <= step < len(document) else None
            else:
                return None
        return document

    return walk


def _check(node: Any, text: str) -> None:
    if not isinstance(node, Mapping):
        return
    if node.get("type") == "function_expression" and node["value"] not in FUNCTIONS:
        raise PathInvalid(f"{text!r} uses {node['value']}(); a path may use {', '.join(sorted(FUNCTIONS))}")
    if node.get("type") == "literal" and isinstance(node.get("value"), float | Decimal):
        raise PathInvalid(f"{text!r} has a number with a fraction, which JMESPath takes for a float; use an integer")
    for child in node.get("children", ()):
        _check(child, text)


def first(finds: tuple[Find, ...], document: Any) -> Any:
    """What the first path that leads to something finds; None when none does."""
    for find in finds:
        value = find(document)
        if value is not None:
            return value
    return None
