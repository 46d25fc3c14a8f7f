"""Column types that keep what SQLite and PostgreSQL would otherwise change: instants, exact numbers, words.

The law: what is read is what was written, on both databases, to the last digit.
"""

import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from sqlalchemy import BigInteger, Dialect, String, Text
from sqlalchemy.types import TypeDecorator

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
DAY_MICROS = 86_400_000_000


def to_micros(instant: datetime) -> int:
    """Microseconds since 1970-01-01 UTC of an aware datetime, exactly (no float is involved).

    Raises ValueError for a naive datetime: a time without a zone is not an instant.
    """
    if instant.tzinfo is None:
        raise ValueError(f"a stored instant needs a time zone, got {instant.isoformat()}")
    return (instant - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """The aware UTC datetime of `micros` microseconds since 1970-01-01."""
    return EPOCH + micros * MICROSECOND


class Instant(TypeDecorator[datetime]):
    """An aware datetime, stored as microseconds since 1970 UTC: one form, exact and ordered on both databases."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - the signature is SQLAlchemy's
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the signature is SQLAlchemy's
        return None if value is None else from_micros(value)


class Exact(TypeDecorator[Fraction]):
    """An exact rational, stored as text ("30", "-1/3"): money and quantities between the record and the line."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Fraction | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - the signature is SQLAlchemy's
        return None if value is None else str(Fraction(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Fraction | None:  # noqa: ARG002 - the signature is SQLAlchemy's
        return None if value is None else Fraction(value)


class Word(TypeDecorator[str]):
    """A word from a closed list (a status, a kind), stored as plain text; the table's CHECK holds the list."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - the signature is SQLAlchemy's
        return None if value is None else str.__str__(value)


class Json(TypeDecorator[Any]):
    """A JSON value as text with sorted keys, so that equal values are equal text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 - the signature is SQLAlchemy's
        return None if value is None else canonical_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002 - the signature is SQLAlchemy's
        return None if value is None else json.loads(value)


def canonical_json(value: Any) -> str:
    """JSON text with sorted keys and no spaces; the same value always gives the same text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
