"""The SQL of thresholds: the schedules of periods that go on, whose charges may be invoiced before their end."""

from collections.abc import Iterable

from sqlalchemy import text
from sqlmodel import Session

from storage.sets import list_value, listed


def going_on(session: Session, charge_ids: Iterable[int], at: int) -> dict[int, list[int]]:
    """By contract, the schedules of these charges whose periods hold an instant (microseconds) and are not charged."""
    connection = session.connection()
    rows = connection.execute(
        text(f"""
        SELECT contract_id, id FROM invoicing_schedule
        WHERE status IN ('planned', 'valued') AND start_at <= :at AND end_at > :at
              AND charge_id {listed(connection, "ids")}
        ORDER BY contract_id, id
        """),
        {"at": at, "ids": list_value(connection, charge_ids)},
    )
    found: dict[int, list[int]] = {}
    for contract_id, schedule_id in rows:
        found.setdefault(contract_id, []).append(schedule_id)
    return found
