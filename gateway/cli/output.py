"""How a command speaks: tables for people, JSON for programs, one sentence on standard error when refused."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import Any

import click

from billing.core.money import exact_text


def plain(value: Any) -> Any:
    """`value` as JSON can carry it: exact numbers and dates as text."""
    match value:
        case Fraction():
            return exact_text(value)
        case datetime() | date():
            return value.isoformat()
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return value


def show_json(value: Any) -> None:
    """Print `value` as JSON, indented for a person who looks."""
    click.echo(json.dumps(plain(value), ensure_ascii=False, indent=2))


def show_table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print aligned columns; numbers are text already and align right."""
    cells = [["" if cell is None else str(plain(cell)) for cell in row] for row in rows]
    widths = [max(len(row[index]) for row in [list(headings), *cells]) for index in range(len(headings))]
    for row in [list(headings), *cells]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def show_rows(rows: Sequence[Mapping[str, Any]], *, as_json: bool, nothing: str) -> None:
    """Print rows of equal keys as a table, or as JSON; `nothing` is said when there is none."""
    if as_json:
        show_json(rows)
    elif rows:
        show_table([key.replace("_", " ") for key in rows[0]], [list(row.values()) for row in rows])
    else:
        click.echo(nothing)
