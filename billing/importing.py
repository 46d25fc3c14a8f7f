"""A fleet as a CSV file: each row is an object to create; what is no field of an object becomes an attribute."""

import csv
from collections.abc import Iterable, Mapping
from datetime import date

from billing.activation import TERM_MONTHS
from billing.core.errors import Invalid
from billing.registry import NewObject

COLUMNS = frozenset(
    {"reference", "kind", "customer", "contract", "subscription", "activate", "starts_on", "term_months"}
    | {"renewal", "notice_days"}
)
DIGITS = 6
"""Of a whole number in a cell; the bounds themselves are those of an activation."""


def new_object(row: Mapping[str, str]) -> NewObject:
    """The object that a row asks for. Raises ValueError with what is wrong in it."""
    if None in row or any(value is None for value in row.values()):
        raise ValueError("the row has another number of cells than the first line")
    activate = row.get("activate", "").strip().lower()
    if activate not in {"", "yes", "no", "true", "false", "1", "0"}:
        raise ValueError(f"activate is {activate!r}; write yes or no")
    term = _whole(row, "term_months", "months")
    starts_on = row.get("starts_on", "").strip()
    try:
        first_day = date.fromisoformat(starts_on) if starts_on else None
    except ValueError:
        raise ValueError(f"starts_on is {starts_on!r}, which is not a date; write it as 2022-04-01") from None
    return NewObject(
        reference=row["reference"],
        kind=row.get("kind", ""),
        attributes={name: value for name, value in row.items() if name not in COLUMNS and value},
        customer=row.get("customer") or None,
        contract=row.get("contract") or None,
        subscription=row.get("subscription") or None,
        activate=activate in {"yes", "true", "1"},
        starts_on=first_day,
        term_months=TERM_MONTHS if term is None else term,
        renewal=row.get("renewal", "").strip() or None,
        notice_days=_whole(row, "notice_days", "days"),
    )


def _whole(row: Mapping[str, str], name: str, what: str) -> int | None:
    text = row.get(name, "").strip()
    if text and not (text.isascii() and text.isdigit() and len(text) <= DIGITS):
        raise ValueError(f"{name} is {text!r}; write a whole number of {what}")
    return int(text) if text else None


def read(lines: Iterable[str]) -> tuple[list[tuple[int, NewObject]], list[tuple[int, str]]]:
    """The objects of a file and what is wrong in it, both with their lines. Raises Invalid when it cannot be read."""
    reader = csv.DictReader(lines, strict=True)
    good: list[tuple[int, NewObject]] = []
    bad: list[tuple[int, str]] = []
    try:
        names = reader.fieldnames or ()
        if "reference" not in names:
            raise Invalid("the file has no column `reference`; its first line must name the columns")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise Invalid(f"the file has the column {twice[0]!r} twice; which one counts cannot be known")
        for row in reader:
            try:
                good.append((reader.line_num, new_object(row)))
            except ValueError as error:
                bad.append((reader.line_num, str(error)))
    except (csv.Error, UnicodeDecodeError) as error:
        raise Invalid(f"line {reader.line_num}: {error}") from None
    return good, bad
