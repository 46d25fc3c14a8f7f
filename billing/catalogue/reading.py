"""Reading a catalogue file: YAML without its surprises, every error at once with its place and line."""

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import ValidationError

from billing.catalogue.models import CatalogueModel
from billing.catalogue.problems import CatalogueInvalid, Problem
from billing.catalogue.sources import NO_SOURCES, DeclaredSource, SourceRules
from billing.core.charges import Charge, charge_problems

FILE_LIMIT_BYTES = 5_000_000
"""A catalogue is written by people; more is another kind of file."""
DEPTH_LIMIT = 20
OF_PLAN = "usage_while_suspended"
"""A key of usage charges that a plan may say once for all of them."""
NO_VAT = {"vat_category": "Z", "vat_rate": "0"}
"""What a charge without VAT has when only its price is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueFile:
    """A file without an error in itself, and the line of each place in it."""

    content: CatalogueModel
    charges: tuple[tuple[Charge, ...], ...]
    """Those of each plan."""
    sources: tuple[DeclaredSource, ...]
    source_rules: SourceRules
    lines: Mapping[str, int] = field(repr=False)
    file: str


class _Reader:
    """YAML to plain values, with the line of every place; what YAML would silently change is a problem."""

    def __init__(self) -> None:
        self.lines: dict[str, int] = {"": 1}
        self.problems: list[Problem] = []

    def problem(self, place: str, message: str) -> None:
        self.problems.append(Problem(place=place, line=line_of(self.lines, place), message=message))

    def add(self, place: str, problems: Iterable[tuple[str, str]]) -> None:
        """Problems with their places below `place`; one that is told already is not told again."""
        told = {problem.place for problem in self.problems}
        for below, message in problems:
            inner = f"{place}.{below}" if place and below else place or below
            if inner not in told:
                self.problem(inner, message)

    def value(self, node: yaml.Node, place: str, depth: int = 0) -> Any:
        self.lines[place] = node.start_mark.line + 1
        if depth > DEPTH_LIMIT:
            self.problem(place, f"is nested deeper than {DEPTH_LIMIT} levels; flatten it")
            return None
        match node:
            case yaml.MappingNode():
                return self._mapping(node, place, depth)
            case yaml.SequenceNode():
                return [self.value(item, f"{place}[{n}]", depth + 1) for n, item in enumerate(node.value)]
            case _:
                return self._scalar(node, place)

    def _mapping(self, node: yaml.MappingNode, place: str, depth: int) -> dict[Hashable, Any]:
        values: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            name = str(key_node.value)
            inner = f"{place}.{name}" if place else name
            if name in values:
                self.lines[inner] = key_node.start_mark.line + 1
                self.problem(inner, "this key stands here twice; keep one")
                continue
            values[name] = self.value(value_node, inner, depth + 1)
        return values

    def _scalar(self, node: yaml.Node, place: str) -> Any:
        text = str(node.value)
        match node.tag.rpartition(":")[2]:
            case "float":
                self.problem(place, f'{text} is a YAML float, which is not exact; write it in quotes: "{text}"')
                return text
            case "int":
                if re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", text):
                    return int(text)
                self.problem(place, f'{text} is not a plain integer; write it in quotes: "{text}"')
                return text
            case "null":
                return None
            case "bool" if text.lower() in {"true", "false"}:
                return text.lower() == "true"
            case _:
                return text  # days stay text until a model asks for one; `NO` is a country


def line_of(lines: Mapping[str, int], place: str) -> int:
    """The line of a place, or of the nearest place around it."""
    while place and place not in lines:
        place = re.sub(r"(\.[^.\[\]]*|\[\d+\]|^[^.\[\]]*)$", "", place)
    return lines.get(place, 1)


def load(text: str, place: str = "", *, sources: SourceRules = NO_SOURCES) -> CatalogueFile:
    """Read and check a catalogue file; `place` is its name in messages. Raises CatalogueInvalid with every error.

    `sources` reads what stands under that key: the gateway's rules, where messages are received.
    """
    reader, raw = _plain(text, place)
    content = None
    try:
        content = CatalogueModel.model_validate(raw)
    except ValidationError as error:
        reader.add("", problems_of(error, raw))
    for inner, name in _repeats(raw):
        reader.problem(inner, f"{name!r} is declared twice; keep one")
    charges = _charges(reader, raw)
    entries = raw.get("sources") if isinstance(raw, dict) else None
    found, problems = sources.read(entries if isinstance(entries, list) else [])
    reader.add("", problems)
    if reader.problems or content is None:
        raise CatalogueInvalid(reader.problems, file=place)
    return CatalogueFile(
        content=content, charges=charges, sources=tuple(found), source_rules=sources, lines=reader.lines, file=place
    )


def load_charge(text: str, place: str = "") -> Charge:
    """The one charge of a file: the charge itself, or a catalogue file whose only plan has only it.

    What a price does not need may be missing: name, VAT, metric. Raises CatalogueInvalid with every error.
    """
    reader, raw = _plain(text, place)
    entry, inner = _only_charge(raw)
    if not isinstance(entry, dict):
        reader.problem(inner, "should be one charge: a mapping with type, and amount or calculator")
    else:
        charge, problems = charge_problems(_completed(entry))
        added = "calculator.price." if "model" in entry else "calculator." if "calculator" not in entry else ""
        reader.add(inner, [(below.removeprefix(added), message) for below, message in problems])
        if charge is not None and not reader.problems:
            return charge
    raise CatalogueInvalid(reader.problems, file=place)


def _completed(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A charge with what its price does not need; a calculator or a price alone is a usage charge."""
    if "type" not in entry:
        if "model" in entry:
            entry = {"price": entry}
        if "price" in entry or "prices" in entry:
            entry = {"calculator": entry}
        if "calculator" in entry:
            entry = {"type": "usage", **entry}
    without = "vat_category" not in entry and str(entry.get("vat_rate", "0")).strip("0.") == ""
    return {"name": "Charge", **entry, **(NO_VAT if without else {})}


def _only_charge(raw: Any) -> tuple[Any, str]:
    """The entry of the only charge, and its place."""
    place = ""
    if isinstance(raw, dict) and set(raw) == {"charge"}:
        return raw["charge"], "charge"
    for key in ("plans", "charges"):
        inner = raw.get(key) if isinstance(raw, dict) else None
        if isinstance(inner, list) and len(inner) == 1:
            raw, place = inner[0], (f"{place}.{key}[0]" if place else f"{key}[0]")
    return raw, place


def _charges(reader: "_Reader", raw: Any) -> tuple[tuple[Charge, ...], ...]:
    """The charges of each plan, as far as they are understood; what is not is a problem of the reader."""
    plans = raw.get("plans") if isinstance(raw, dict) else None
    found = []
    for n, plan in enumerate(plans if isinstance(plans, list) else []):
        entries = plan.get("charges") if isinstance(plan, dict) else None
        charges = []
        for m, entry in enumerate(entries if isinstance(entries, list) else []):
            charge, problems = charge_problems(_with_plan_keys(plan, entry))
            reader.add(f"plans[{n}].charges[{m}]", problems)
            if charge is not None:
                charges.append(charge)
        found.append(tuple(charges))
    return tuple(found)


def _with_plan_keys(plan: Any, entry: Any) -> Any:
    """The entry of a charge with what its plan says for all of them."""
    said = plan.get(OF_PLAN) if isinstance(plan, dict) else None
    if said is None or not isinstance(entry, dict) or entry.get("type") != "usage" or OF_PLAN in entry:
        return entry
    return {**entry, OF_PLAN: said}


def _plain(text: str, place: str) -> tuple["_Reader", Any]:
    if len(text.encode("utf-8", "replace")) > FILE_LIMIT_BYTES:
        message = f"the file is larger than {FILE_LIMIT_BYTES} bytes; split it"
        raise CatalogueInvalid([Problem(place="", line=1, message=message)], file=place)
    reader = _Reader()
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                message = f"the alias *{event.anchor} is not followed; write the value out"
                raise CatalogueInvalid([Problem(place="", line=_line(event.start_mark), message=message)], file=place)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line = _line(mark)
        message = f"is not YAML: {getattr(error, 'problem', None) or str(error).splitlines()[0]}"
        raise CatalogueInvalid([Problem(place="", line=line, message=message)], file=place) from None
    raw = {} if node is None else reader.value(node, "")
    return reader, raw


def _line(mark: Any) -> int:
    return 1 if mark is None else int(mark.line) + 1


def problems_of(error: ValidationError, raw: Any) -> list[tuple[str, str]]:
    """What pydantic found wrong in `raw`: (place, sentence)."""
    return [(_place(raw, detail["loc"]), _sentence(detail)) for detail in error.errors(include_url=False)]


def _place(raw: Any, loc: Sequence[int | str]) -> str:
    place, value = "", raw
    for part in loc:
        if isinstance(part, int):
            place += f"[{part}]"
            value = value[part] if isinstance(value, list) and part < len(value) else None
        else:
            place += f".{part}" if place else part
            value = value.get(part) if isinstance(value, dict) else None
    return place


def _sentence(detail: Mapping[str, Any]) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return "this key is not known here; remove it or correct its spelling"
        case "missing":
            return "this key is required; add it"
        case "value_error":
            return str(detail["ctx"]["error"])
        case _:
            return f"{detail['msg'][0].lower()}{detail['msg'][1:]}, got {str(detail['input'])[:80]!r}"


def _repeats(raw: Any) -> Iterator[tuple[str, str]]:
    """Names that stand twice in one list: one name, one thing."""
    lists: list[tuple[str, Any, str]] = [
        (noun, raw.get(noun), "reference" if noun == "customers" else "name")
        for noun in ("metrics", "customers", "plans", "contracts", "sources")
        if isinstance(raw, dict)
    ]
    for noun, inner, key in (
        ("plans", "charges", "name"),
        ("contracts", "subscriptions", ""),
        ("contracts", "coupons", "name"),
    ):
        outer = raw.get(noun) if isinstance(raw, dict) else None
        for n, entry in enumerate(outer if isinstance(outer, list) else []):
            if isinstance(entry, dict):
                lists.append((f"{noun}[{n}].{inner}", entry.get(inner), key))
    for place, entries, key in lists:
        seen: set[str] = set()
        for n, entry in enumerate(entries if isinstance(entries, list) else []):
            name = entry.get(key) if isinstance(entry, dict) else entry
            if isinstance(name, str):
                if name in seen:
                    yield f"{place}[{n}]" + (f".{key}" if key else ""), name
                seen.add(name)
