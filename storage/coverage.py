"""The SQL of usage that is silently free nowhere: what no charge measures, and what has no price."""

import json
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

from sqlalchemy import text
from sqlmodel import Session

from storage.usage import NOT_REVERSED

NO_PRICE = "No price"
"""How the core names usage without a price at the end of a component."""
INSIDE = (
    "i.object_id = u.object_id AND i.status <> 'cancelled' AND i.start_at <= u.occurred_at AND i.end_at > u.occurred_at"
)
MEASURED = {
    "sqlite": "SELECT json_extract(value, '$[0]') AS version, json_extract(value, '$[1]') AS metric, "
    "json_extract(value, '$[2]') AS said FROM json_each(:measured)",
    "postgresql": "SELECT (e ->> 0)::int AS version, (e ->> 1)::int AS metric, (e ->> 2)::int AS said "
    "FROM jsonb_array_elements(CAST(:measured AS jsonb)) AS e",
}


class Kind(NamedTuple):
    """Usage that a plan version meets: a metric, and what its records say; `set_id` is 0 where they say nothing."""

    plan_version_id: int
    metric_id: int
    set_id: int
    content: str | None


def kinds_of_usage(session: Session) -> list[Kind]:
    """Each kind of usage that was inside a contract item, with the plan version of the item.

    It walks the facts and seeks each one's items, which CROSS JOIN tells SQLite to do in this order.
    """
    rows = session.connection().execute(
        text(
            "SELECT k.version, k.metric_id, k.said, p.content FROM (SELECT DISTINCT i.plan_version_id AS version, "
            "u.metric_id, COALESCE(u.property_set_id, 0) AS said FROM usage_record u CROSS JOIN contract_item i "
            f"WHERE {INSIDE}) AS k LEFT JOIN property_set p ON p.id = k.said ORDER BY 1, 2, 3"
        )
    )
    return [Kind(*row) for row in rows]


def unmeasured(session: Session, measured: Iterable[Kind]) -> list[tuple[str, int, int]]:
    """By metric, how many records inside a contract item are of none of these kinds, and of how many objects."""
    connection = session.connection()
    rows = connection.execute(
        text(
            f"WITH measured AS MATERIALIZED ({MEASURED[connection.dialect.name]}) "
            "SELECT k.name, COUNT(*), COUNT(DISTINCT u.object_id) "
            "FROM usage_record u JOIN metric k ON k.id = u.metric_id "
            f"WHERE {NOT_REVERSED} AND EXISTS (SELECT 1 FROM contract_item i WHERE {INSIDE}) "
            "AND NOT EXISTS (SELECT 1 FROM contract_item i JOIN measured m ON m.version = i.plan_version_id "
            f"AND m.metric = u.metric_id AND m.said = COALESCE(u.property_set_id, 0) WHERE {INSIDE}) "
            "GROUP BY k.name ORDER BY k.name"
        ),
        {"measured": json.dumps([kind[:3] for kind in measured])},
    )
    return [(name, int(records), int(objects)) for name, records, objects in rows]


def unpriced(session: Session) -> list[tuple[str, str, Fraction]]:
    """The invoice, the label of its line, and the quantity of usage without a price that got none since."""
    rows = session.connection().execute(
        text(
            "SELECT i.number, i.kind, l.component, l.label, h.schedule_id, h.quantity FROM invoice_line l "
            "JOIN invoice i ON i.id = l.invoice_id AND i.status = 'issued' JOIN line_share h ON h.line_id = l.id "
            f"WHERE l.component LIKE '% / {NO_PRICE}' ORDER BY i.id, l.position"
        )
    )
    open_: dict[tuple[int, str], Fraction] = {}
    first: dict[tuple[int, str], tuple[str, str]] = {}
    for number, kind, component, label, schedule_id, quantity in rows:
        key = (schedule_id, component)
        first.setdefault(key, (number, label))
        open_[key] = open_.get(key, Fraction(0)) + Fraction(quantity) * (-1 if kind == "credit_note" else 1)
    found: dict[tuple[str, str], Fraction] = {}
    for key, quantity in open_.items():
        found[first[key]] = found.get(first[key], Fraction(0)) + quantity
    return [(*where, quantity) for where, quantity in found.items() if quantity > 0]
