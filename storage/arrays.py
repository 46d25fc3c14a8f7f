"""Columns of numbers and words as PostgreSQL's arrays in their binary form.

Written as text, an array costs the server more to read than the row it brings costs to store, and the driver a Python
call a value. The form is the one that PostgreSQL's own `array_recv` reads (`src/backend/utils/adt/arrayfuncs.c`): the
number of dimensions, whether there are NULLs, the type of the elements, the length, the first index; then for each
element its size in bytes and its bytes.
"""

import struct
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
    return Int8Array(_array(INT8, len(column), _sized("q", 8, column)))


def _ints(column: Sequence[int | None]) -> Int4Array:
    nulls = None in column
    packed = (
        b"".join(NULL_SIZE if value is None else pack(">ii", 4, value) for value in column)
        if nulls
        else _sized("i", 4, column)
    )
    return Int4Array(_array(INT4, len(column), packed, nulls=nulls))


def _texts(column: Sequence[str]) -> TextArray:
    words = [word.encode() for word in column]
    sizes = map(SIZE, map(len, words))
    return TextArray(_array(TEXT, len(words), b"".join(chain.from_iterable(zip(sizes, words, strict=True)))))


def _array(element: int, length: int, packed: bytes, *, nulls: bool = False) -> bytes:
    return HEADER.pack(1, nulls, element, length, 1) + packed


def _sized(letter: str, size: int, column: Sequence[Any]) -> bytes:
    """Sizes and values in turn, by one call of C for the whole column.

    Raises OverflowError, as SQLite's driver does, where a value has more than `size` bytes.
    """
    try:
        return pack(f">{f'i{letter}' * len(column)}", *chain.from_iterable(zip(repeat(size), column, strict=False)))
    except struct.error as fault:
        raise OverflowError(f"a value among {len(column)} has more than {8 * size} bits: {fault}") from None


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
