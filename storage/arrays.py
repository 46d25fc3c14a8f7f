"""Columns of numbers and words as PostgreSQL's arrays in their binary form.

Written as text, an array costs the server more to read than the row it brings costs to store, and the driver a Python
call a value. The form is the one that PostgreSQL's own `array_recv` reads (`src/backend/utils/adt/arrayfuncs.c`): the
number of dimensions, whether there are NULLs, the type of the elements, the length, the first index; then for each
element its size in bytes and its bytes.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain, repeat
from struct import Struct, pack
from types import MappingProxyType
from typing import Any

HEADER = Struct(">5i")
SIZE = Struct(">i").pack
INT8, INT4, TEXT = 20, 23, 25
"""What PostgreSQL calls these types, in `pg_type.dat`; their arrays are types of their own."""
INT8_ARRAY, INT4_ARRAY, TEXT_ARRAY = 1016, 1007, 1009
NULL_SIZE = SIZE(-1)


class Int8Array(bytes):
    """A `bigint[]` as it travels."""


class Int4Array(bytes):
    """An `int[]` as it travels."""


class TextArray(bytes):
    """A `text[]` as it travels."""


def _bigints(column: Sequence[int]) -> Int8Array:
    # Sizes and values in turn, by one call: "iq" is a size of four bytes and a value of eight.
    packed = pack(f">{'iq' * len(column)}", *chain.from_iterable(zip(repeat(8), column, strict=False)))
    return Int8Array(HEADER.pack(1, 0, INT8, len(column), 1) + packed)


def _ints(column: Sequence[int | None]) -> Int4Array:
    if None in column:
        packed = b"".join(NULL_SIZE if value is None else pack(">ii", 4, value) for value in column)
        return Int4Array(HEADER.pack(1, 1, INT4, len(column), 1) + packed)
    packed = pack(f">{'ii' * len(column)}", *chain.from_iterable(zip(repeat(4), column, strict=False)))
    return Int4Array(HEADER.pack(1, 0, INT4, len(column), 1) + packed)


def _texts(column: Sequence[str]) -> TextArray:
    words = [word.encode() for word in column]
    sizes = map(SIZE, map(len, words))
    packed = b"".join(chain.from_iterable(zip(sizes, words, strict=True)))
    return TextArray(HEADER.pack(1, 0, TEXT, len(words), 1) + packed)


ARRAYS: Mapping[str, Callable[[Sequence[Any]], bytes]] = MappingProxyType(
    {"bigint": _bigints, "int": _ints, "text": _texts}
)
"""By the name of the elements' type, what makes an array of a column that is not empty."""


def teach(connection: Any) -> None:
    """Have a psycopg connection send these as they are."""
    from psycopg.adapt import Dumper  # noqa: PLC0415 - SQLite has no need of the driver
    from psycopg.pq import Format  # noqa: PLC0415

    for array, identity in ((Int8Array, INT8_ARRAY), (Int4Array, INT4_ARRAY), (TextArray, TEXT_ARRAY)):
        sent = type(f"{array.__name__}Dumper", (Dumper,), {"format": Format.BINARY, "oid": identity, "dump": _as_is})
        connection.adapters.register_dumper(array, sent)


def _as_is(_dumper: object, value: bytes) -> bytes:
    return value
