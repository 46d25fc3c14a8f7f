"""What a cell of an extraction says: plain decimals, ISO days, and text that no spreadsheet runs.

The law: a number is exact where it has a finite form of at most 12 decimals; text never becomes a formula.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from billing.core.money import format_minor, round_half_away

DAY = timedelta(days=1)
DECIMALS_SHOWN = 12
"""Decimals of a quantity that has no finite decimal form (1/3 of a month); the amounts beside it are exact."""
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
FORMS_REMEMBERED = 4096
"""Denominators and periodic fractions whose decimal form is kept: a metric's decimals, a part of a month, a price."""

_QUOTED = re.compile('[,"\r\n]')
_HARD = (",", '"', "\r", *(f"\n{sign}" for sign in FORMULA_SIGNS))


def neutralised(text: str) -> str:
    """Text that a spreadsheet shows and never runs: an apostrophe before what begins like a formula."""
    return f"'{text}" if text.startswith(FORMULA_SIGNS) else text


def csv_cell(text: str) -> str:
    """A text cell as RFC 4180 writes it, quoted where it must be, neutralised."""
    shown = neutralised(text)
    if _QUOTED.search(shown):
        doubled = shown.replace('"', '""')
        return f'"{doubled}"'
    return shown


def csv_row(cells: Iterable[str]) -> str:
    """Text cells with commas between, without the end of the line."""
    return ",".join([csv_cell(cell) for cell in cells])


def csv_column(texts: Sequence[str]) -> Sequence[str]:
    """`csv_cell` of each text: looked through at once, since hardly any column has a text that must be changed."""
    joined = "\n".join(("", *texts))
    if joined.count("\n") == len(texts) and not any(mark in joined for mark in _HARD):
        return texts
    return [csv_cell(text) for text in texts]


def decimal_text(exact: str) -> str:
    """The decimal text of an exact number's text ("30", "-1/3"), rounded half away from zero to 12 decimals at most."""
    top, slash, bottom = exact.partition("/")
    if not slash:
        return exact
    factor, digits = _decimal_form(bottom)
    return format_minor(int(top) * factor, digits) if factor else _nearest(exact)


@lru_cache(FORMS_REMEMBERED)
def _nearest(exact: str) -> str:
    scaled = round_half_away(Fraction(exact) * 10**DECIMALS_SHOWN)
    return format_minor(scaled, DECIMALS_SHOWN).rstrip("0").rstrip(".") if scaled else "0"


@lru_cache(FORMS_REMEMBERED)
def _decimal_form(denominator: str) -> tuple[int, int]:
    """What makes the denominator the smallest power of ten, and that power; a factor of 0 where none up to 12 does."""
    number = int(denominator)
    for digits in range(DECIMALS_SHOWN + 1):
        factor, rest = divmod(10**digits, number)
        if not rest:
            return factor, digits
    return 0, DECIMALS_SHOWN


def decimal_of(value: Fraction) -> Decimal:
    """The value as a decimal: exact when it has a finite form of at most 12 decimals, else rounded to 12."""
    return Decimal(decimal_text(str(value)))


def day_of(stored: date | str) -> date:
    """A day as PostgreSQL gives it (a date) or SQLite (its ISO text)."""
    return date.fromisoformat(stored) if isinstance(stored, str) else stored


def last_day(end: date | str) -> date:
    """The last day of a period whose end is exclusive."""
    return day_of(end) - DAY


def shown_properties(properties: Mapping[str, str]) -> str:
    """The properties of a usage record for a person: `tariff=7 zone=night`."""
    return " ".join(f"{name}={value}" for name, value in properties.items())
