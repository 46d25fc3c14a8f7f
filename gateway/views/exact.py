"""Exact numbers as text, wherever they stand in what is shown."""

from collections.abc import Mapping
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from billing.core.money import exact_text


def exact(value: Any) -> Any:
    """The same with every exact number as text; dates and instants stay what they are."""
    match value:
        case Fraction():
            return exact_text(value)
        case Mapping():
            return {str(key): exact(item) for key, item in value.items()}
        case list() | tuple():
            return [exact(item) for item in value]
        case _:
            return value


def plain(value: Any) -> Any:
    """The same as JSON can carry it: exact numbers, dates and instants as text."""
    match value:
        case datetime() | date():
            return value.isoformat()
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return exact(value)
