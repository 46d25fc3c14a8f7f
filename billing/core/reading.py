"""Catalogue entries (parsed YAML or JSON) to frozen values and back, by the fields that the values declare.

The law: what is not understood is refused by its place, with the value and what it should be, all of it at once; and
a value written out again has every default in it, so that a default that changes later changes nothing that is stored.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from fractions import Fraction
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from billing.core.errors import Invalid
from billing.core.money import exact_text

NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,18})?")
LIST_LIMIT = 100
"""Tiers, steps, prices or values of one list: more is a formula, not a table that a customer can read."""
TEXT_LIMIT = 200
T = TypeVar("T")


class Wrong(Exception):
    """A value that cannot be what its field needs; its problem is noted already."""


class Reading:
    """Reads values and collects what is wrong, each with its place below the entry (`calculator.price.tiers[0]`)."""

    def __init__(self) -> None:
        self.problems: list[tuple[str, str]] = []

    def problem(self, place: str, message: str) -> Wrong:
        self.problems.append((place, message))
        return Wrong(message)

    def value(self, kind: Any, value: object, place: str) -> Any:
        """`value` as `kind`: a type of a field. Raises Wrong when it is not, with the problem noted."""
        if get_origin(kind) in {Union, UnionType}:
            return self._union(get_args(kind), value, place)
        if get_origin(kind) is Literal:
            return self._word(get_args(kind), value, place)
        if get_origin(kind) is tuple:
            return self._list(get_args(kind)[0], value, place)
        if hasattr(kind, "from_entry"):
            try:
                return kind.from_entry(value)
            except Invalid as error:
                raise self.problem(place, error.message) from None
        if is_dataclass(kind):
            return self.entry(kind, value, place)
        readers = {Fraction: self._number, str: self._text, int: self._integer, bool: self._choice}
        return readers[kind](value, place)

    def entry(self, kind: Any, value: object, place: str) -> Any:
        """A mapping as the frozen value `kind`; every key that is wrong is noted before Wrong is raised."""
        known = keys_of(kind)
        if not isinstance(value, Mapping):
            raise self.problem(place, f"{_shown(value)} should be a mapping with {', '.join(known)}")
        before = len(self.problems)
        for key in value:
            if key not in known and key != _tag(kind):
                hint = getattr(kind, "hints", {}).get(key, f"remove it or correct its spelling; {_known(known)}")
                self.problem(_join(place, str(key)), f"this key is not known here; {hint}")
        arguments: dict[str, Any] = {}
        for key, (inner, required) in known.items():
            inner_place = _join(place, key)
            given = value.get(key)
            if given is None and (key not in value or not _takes_none(inner) or not required):
                if required:
                    self.problem(inner_place, "this key is required; add it")
                continue
            try:
                arguments[key] = self.value(inner, given, inner_place)
            except Wrong:
                continue
        if len(self.problems) > before:
            raise Wrong(place)
        try:
            return kind(**arguments)
        except Invalid as error:
            raise self.problem(place, error.message) from None

    def _union(self, kinds: Sequence[Any], value: object, place: str) -> Any:
        if value is None and NoneType in kinds:
            return None
        kinds = [kind for kind in kinds if kind is not NoneType]
        if len(kinds) == 1:
            return self.value(kinds[0], value, place)
        tag = _tag(kinds[0])
        cases = {getattr(kind, tag): kind for kind in kinds}
        if not isinstance(value, Mapping):
            raise self.problem(place, f"{_shown(value)} should be a mapping with {tag} and its keys")
        chosen = value.get(tag)
        if chosen is None:
            raise self.problem(place, f"the key {tag} is required; add it: {' or '.join(cases)}")
        if not isinstance(chosen, str) or chosen not in cases:
            raise self.problem(place, f"{tag} {chosen!r} is not known here; it should be {' or '.join(cases)}")
        return self.entry(cases[chosen], value, place)

    def _word(self, words: Sequence[str], value: object, place: str) -> str:
        if not isinstance(value, str) or value not in words:
            raise self.problem(place, f"{_shown(value)} should be {' or '.join(words)}")
        return value

    def _list(self, kind: Any, value: object, place: str) -> tuple[Any, ...]:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise self.problem(place, f"{_shown(value)} should be a list")
        if not 1 <= len(value) <= LIST_LIMIT:
            raise self.problem(place, f"has {len(value)} entries; it should have 1 to {LIST_LIMIT}")
        found = []
        for n, item in enumerate(value):
            try:
                found.append(self.value(kind, item, f"{place}[{n}]"))
            except Wrong:
                continue
        if len(found) < len(value):
            raise Wrong(place)
        return tuple(found)

    def _number(self, value: object, place: str) -> Fraction:
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not isinstance(text, str) or not NUMBER.fullmatch(text):
            raise self.problem(
                place,
                f'{_shown(value)} should be a text or an integer, without a sign, such as "2.50" '
                "(up to 15 digits and 18 decimals)",
            )
        return Fraction(text)

    def _text(self, value: object, place: str) -> str:
        if not isinstance(value, str) or not 1 <= len(value) <= TEXT_LIMIT or not value.isprintable():
            raise self.problem(place, f"{_shown(value)} should be a text of 1 to {TEXT_LIMIT} printable characters")
        if value != value.strip():
            raise self.problem(place, f"{_shown(value)} has a blank at an end; remove it")
        return value

    def _integer(self, value: object, place: str) -> int:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
            return int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 10**9:
            raise self.problem(place, f"{_shown(value)} should be an integer, not negative")
        return value

    def _choice(self, value: object, place: str) -> bool:
        if not isinstance(value, bool):
            raise self.problem(place, f"{_shown(value)} should be true or false")
        return value


def read(kind: Any, entry: object) -> Any:
    """The frozen value of type `kind` that an entry declares; raises Invalid with every problem and its place."""
    reading = Reading()
    try:
        return reading.value(kind, entry, "")
    except Wrong:
        problems = [f"{place}: {message}" if place else message for place, message in reading.problems]
        raise Invalid("; ".join(problems)) from None


def entry_of(value: Any) -> Any:
    """The entry that declares `value`, with every key in it: plain texts, integers, lists and mappings."""
    match value:
        case Fraction():
            return exact_text(value)
        case tuple():
            return [entry_of(item) for item in value]
        case _ if hasattr(value, "as_entry"):
            return value.as_entry()
        case _ if is_dataclass(value):
            kind: Any = type(value)
            tag = _tag(kind)
            own = {tag: getattr(value, tag)} if tag else {}
            return own | {key: entry_of(getattr(value, key)) for key in keys_of(kind)}
        case _:
            return value


@cache
def keys_of(kind: Any) -> dict[str, tuple[Any, bool]]:
    """Each key of an entry, with its type and whether it is required."""
    hints = get_type_hints(kind)
    return {
        field.name: (hints[field.name], field.default is MISSING and field.default_factory is MISSING)
        for field in fields(kind)
    }


def _tag(kind: Any) -> str:
    """The key that names the case of a union: `model` of a price, `type` of a charge."""
    return next((tag for tag in ("model", "type") if hasattr(kind, tag)), "")


def _takes_none(kind: Any) -> bool:
    return get_origin(kind) in {Union, UnionType} and NoneType in get_args(kind)


def _known(known: Mapping[str, object]) -> str:
    return f"known are {', '.join(sorted(known))}"


def _join(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key


def _shown(value: object) -> str:
    return repr(value)[:80]
