"""Templates of what is sent: texts, lists and objects whose texts have `{names}` for what is known when it is sent.

The law: a closed language. There is nothing but names, and a name that is not known is refused, never left empty.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from billing.core.errors import Invalid

NAME = re.compile(r"\{([a-z][a-z0-9_]*(?:\.[A-Za-z0-9_:-]+)*)\}")
DEPTH_MAX = 8
"""Levels of lists and objects in one another."""


def names_in(template: Any, depth: int = DEPTH_MAX) -> Iterator[str]:
    """The names in a template. Raises Invalid for braces that hold none, and for what is too deep."""
    match template:
        case str():
            if set(NAME.sub("", template)) & set("{}"):
                raise Invalid(f"{template[:80]!r} has braces that hold no name; write {{object}} or {{body.key}}")
            yield from NAME.findall(template)
        case list() | dict() if not depth:
            raise Invalid(f"a template has up to {DEPTH_MAX} levels")
        case list():
            for inner in template:
                yield from names_in(inner, depth - 1)
        case dict():
            for inner in template.values():
                yield from names_in(inner, depth - 1)


def rendered(template: Any, values: Mapping[str, Any]) -> Any:
    """The template with its names filled in: a text that is one name becomes its value. Raises Invalid."""
    match template:
        case str():
            whole = NAME.fullmatch(template)
            if whole is not None:
                return _value(whole[1], values)
            return NAME.sub(lambda found: _text(found[1], values), template)
        case list():
            return [rendered(inner, values) for inner in template]
        case dict():
            return {key: rendered(inner, values) for key, inner in template.items()}
        case _:
            return template


def _value(name: str, values: Mapping[str, Any]) -> Any:
    first, *rest = name.split(".")
    found: Any = values.get(first)
    for key in rest:
        found = found.get(key) if isinstance(found, Mapping) else None
    if found is None:
        raise Invalid(
            f"{{{name}}} is not known here; give it in the command's body, or wait until the object was heard"
        )
    return found


def _text(name: str, values: Mapping[str, Any]) -> str:
    found = _value(name, values)
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, (str, int)):
        return str(found)
    raise Invalid(f"{{{name}}} stands inside a text, and is no text and no integer")
