"""What a chart draws: exact numbers as texts, and the same as a table for who does not see it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from console.languages import Language

Unit = Literal["day", "month"]
DRAWN_DECIMALS = 6
"""More than a screen can show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One row of values, one for each point in time; None where there is none."""

    label: str
    values: Sequence[Fraction | int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One point in time of the table."""

    label: str
    values: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart over days or months."""

    unit: Unit
    x: Sequence[date]
    series: Sequence[Series]
    language: Language
    line: bool = False

    @property
    def json(self) -> str:
        """As the script reads it."""
        return json.dumps(
            {
                "unit": self.unit,
                "line": self.line,
                "x": [int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) for day in self.x],
                "series": [
                    {"label": it.label, "values": [None if v is None else _text(Fraction(v)) for v in it.values]}
                    for it in self.series
                ],
            }
        )

    @property
    def rows(self) -> list[Row]:
        """As a table."""
        label = self.language.day if self.unit == "day" else self.language.month
        return [
            Row(label=label(day), values=[self._shown(it.values[place]) for it in self.series])
            for place, day in enumerate(self.x)
        ]

    def _shown(self, value: Fraction | int | None) -> str:
        return "\N{EN DASH}" if value is None else self.language.number(value)


def _text(value: Fraction) -> str:
    return str(Decimal(round(value * 10**DRAWN_DECIMALS)).scaleb(-DRAWN_DECIMALS))


def months_back(today: date, count: int) -> list[date]:
    """The first days of `count` months, the present one last."""
    first = today.year * 12 + today.month - count
    return [date((first + place) // 12, (first + place) % 12 + 1, 1) for place in range(count)]


def over(days: Sequence[date], found: Mapping[date, Fraction | int]) -> list[Fraction | int]:
    """A value for each day: 0 where there is none."""
    return [found.get(day, 0) for day in days]
