"""The SQL of charges on events: how many there were, and what must be valued again when one comes late."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, select

from storage.sets import list_value, listed
from storage.tables import Charge
from storage.types import to_micros

WHOSE = """
    (s.object_id = :object_id OR (s.contract_item_id IS NULL AND s.contract_id IN (
        SELECT contract_id FROM contract_item WHERE object_id = :object_id
    )))
"""
"""An object's own schedules, and those of the pools that it may be in."""


def counts(session: Session, *, kind: str, schedule_ids: Iterable[int]) -> dict[int, int]:
    """By schedule, how many events of one kind its object had in its period; those without any are left out."""
    connection = session.connection()
    rows = connection.execute(
        text(f"""
        SELECT s.id, COUNT(*)
        FROM invoicing_schedule s
        JOIN object_event e ON e.object_id = s.object_id AND e.kind = :kind
             AND e.occurred_at >= s.start_at AND e.occurred_at < s.end_at
        WHERE s.id {listed(connection, "ids")}
        GROUP BY s.id
        """),
        {"kind": kind, "ids": list_value(connection, schedule_ids)},
    )
    return {row[0]: row[1] for row in rows}


def revalue(session: Session, added: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """Have the next close look again at the schedules of periods that are over and that new events fall into.

    The contracts' revisions are raised first: a close that has planned without these events plans again, and one that
    has just written is waited for, so that no event falls between.
    """
    kinds: dict[str, list[int]] = {}
    for charge in session.exec(select(Charge).where(col(Charge.type) == "event")):
        kinds.setdefault(charge.definition["event"], []).append(charge.id or 0)
    for event in added:
        if event["kind"] in kinds:
            _revalue(session, event, kinds[event["kind"]], to_micros(now))


def _revalue(session: Session, event: Mapping[str, Any], charge_ids: Sequence[int], now: int) -> None:
    connection = session.connection()
    inside = (
        f"{WHOSE} AND s.start_at <= :at AND s.end_at > :at AND s.end_at <= :now "
        f"AND s.charge_id {listed(connection, 'charge_ids')}"
    )
    values = {
        "object_id": event["object_id"],
        "at": to_micros(event["occurred_at"]),
        "now": now,
        "charge_ids": list_value(connection, charge_ids),
    }
    raised = connection.execute(
        text(
            "UPDATE contract SET revision = revision + 1 "
            f"WHERE id IN (SELECT s.contract_id FROM invoicing_schedule s WHERE {inside})"
        ),
        values,
    )
    if raised.rowcount:
        connection.execute(
            text(
                "UPDATE invoicing_schedule SET revalue = 1 WHERE status IN ('invoiced', 'settled') "
                f"AND id IN (SELECT s.id FROM invoicing_schedule s WHERE {inside})"
            ),
            values,
        )
