"""How a command speaks: tables for people, JSON for programs, one sentence on standard error when refused."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import click

from gateway.views.exact import plain

PIECES_AT_A_TIME = 500


def json_pieces(value: Any, indent: str = "") -> Iterator[str]:
    """The JSON text of `value`, indented for a person who looks, in pieces: an iterator is a list that is read so."""
    inner = f"{indent}  "
    match value:
        case Iterator():
            first = True
            for item in value:
                yield f"{'[' if first else ','}\n{inner}"
                yield from json_pieces(item, inner)
                first = False
            yield "[]" if first else f"\n{indent}]"
        case Mapping() if any(isinstance(item, Iterator) for item in value.values()):
            for place, (key, item) in enumerate(value.items()):
                yield f"{',' if place else '{'}\n{inner}{json.dumps(str(key), ensure_ascii=False)}: "
                yield from json_pieces(item, inner)
            yield f"\n{indent}}}"
        case _:
            yield json.dumps(plain(value), ensure_ascii=False, indent=2).replace("\n", f"\n{indent}")


def show_json(value: Any) -> None:
    """Print `value` as JSON, as it is read where it holds iterators."""
    show_pieces(json_pieces(value))
    click.echo()


def show_pieces(pieces: Iterator[str]) -> None:
    """Print pieces of text as they come, many at a time: each printing is a system call."""
    while chunk := list(islice(pieces, PIECES_AT_A_TIME)):
        click.echo("".join(chunk), nl=False)


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
    elif nothing:
        click.echo(nothing)
