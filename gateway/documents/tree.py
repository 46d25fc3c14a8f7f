"""XML written as it reads: nested tuples of (name, attributes?, content), what is empty left out.

The law: text is escaped by the library, and elements stand in the order in which they are written.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree as ET

Node = tuple[Any, ...] | None
"""`("ram:Name", "text")`, `("ram:ID", {"schemeID": "VA"}, "text")`, `("ram:Parent", [nodes])`; None is nothing."""


def text_of(value: str | int | date | Decimal) -> str:
    """A value as XML states it: ISO days, numbers without an exponent."""
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def build(root: str, spaces: Mapping[str, str], nodes: Iterable[Node]) -> bytes:
    """A document in UTF-8 with its namespaces by prefix; a prefix of "" is the default namespace."""
    top = ET.Element(root, {f"xmlns:{prefix}" if prefix else "xmlns": uri for prefix, uri in spaces.items()})
    _add(top, nodes)
    ET.indent(top)
    written: bytes = ET.tostring(top, encoding="UTF-8", xml_declaration=True)
    return written


def _add(parent: ET.Element, nodes: Iterable[Node]) -> None:
    for node in nodes:
        if node is None:
            continue
        name, *rest = node
        attributes = rest.pop(0) if isinstance(rest[0], dict) else {}
        (content,) = rest
        if content is None or content == "":
            continue
        element = ET.Element(name, attributes)
        if isinstance(content, list):
            _add(element, content)
            if not len(element):
                continue
        else:
            element.text = text_of(content)
        parent.append(element)
