"""What is taken in: the metrics that exist, in all months but the archived ones.

The law: it is one text in the database's own words, so that whoever remembers it sees by one comparison whether it
still stands.
"""

import json
from datetime import date
from typing import Literal, NamedTuple, Self

from sqlalchemy import Connection

from storage.bulk import is_sqlite

METRICS = "SELECT {aggregate}({array}(name, id, kind, decimals, excess_digits)) FROM metric"
SQLITE = f"json_array(json(({METRICS.format(aggregate='json_group_array', array='json_array')})), NULL)"
"""No month is archived on SQLite. (A text that comes out of a subquery is not JSON to it until it is told.)"""
POSTGRESQL = (
    f"json_build_array(({METRICS.format(aggregate='json_agg', array='json_build_array')}), "
    "(SELECT json_agg(month_starts_on) FROM archived_month))::text"
)


class MetricRow(NamedTuple):
    """What the door needs to know of a metric."""

    id: int
    kind: str
    decimals: int
    excess_digits: Literal["round", "refuse"]


class Intake(NamedTuple):
    """Metrics by name, and the first days of the archived months (UTC); `text` is what the database said."""

    metrics: dict[str, MetricRow]
    archived: frozenset[date]
    text: str

    @classmethod
    def of(cls, text: str) -> Self:
        """What a text of the database says."""
        metrics, archived = json.loads(text)
        return cls(
            {name: MetricRow(*rest) for name, *rest in metrics or ()},
            frozenset(map(date.fromisoformat, archived or ())),
            text,
        )


def expression(connection: Connection) -> str:
    """The SQL that gives the text of an `Intake`."""
    return SQLITE if is_sqlite(connection) else POSTGRESQL
