"""The SQL of the verification's dates: local days beside the instants that they stand for, and the months closed."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlmodel import Session

from storage.sets import day_of
from storage.types import from_micros

ITEMS = """
    SELECT 'contract item ' || i.name, c.timezone, i.starts_on, i.ends_on, i.start_at, i.end_at, NULL, NULL,
           before.end_at
    FROM contract_item i JOIN contract c ON c.id = i.contract_id
    LEFT JOIN contract_item before ON before.id = i.follows_id
    WHERE i.status != 'cancelled'
"""
SCHEDULES = """
    SELECT COALESCE(i.name || ', ', '') || h.name, c.timezone, s.starts_on, s.ends_on, s.start_at, s.end_at,
           CASE WHEN i.id IS NULL THEN NULL ELSE s.due_on END, i.ends_on,
           CASE WHEN s.starts_on = i.starts_on THEN i.start_at ELSE NULL END
    FROM invoicing_schedule s
    JOIN contract c ON c.id = s.contract_id
    JOIN charge h ON h.id = s.charge_id
    LEFT JOIN contract_item i ON i.id = s.contract_item_id
    WHERE s.status != 'cancelled'
"""


class Dated(NamedTuple):
    """Local days `[starts_on, ends_on)` and the instants stored for them; `due_on` only of an item's schedule."""

    what: str
    timezone: str
    starts_on: date
    ends_on: date
    start_at: datetime
    end_at: datetime
    due_on: date | None
    item_ends_on: date | None
    handed_over_at: datetime | None
    """Where an item follows one of another zone: the instant at which that one ended, and this one begins."""


class Month(NamedTuple):
    contract: str
    starts_on: date
    mark: int


def dated(session: Session) -> Iterator[Dated]:
    """Every contract item and every schedule that is not cancelled."""
    for query in (ITEMS, SCHEDULES):
        for row in session.connection().execute(text(query)):
            what, timezone, starts_on, ends_on, start_at, end_at, due_on, item_ends_on, handed_over_at = row
            yield Dated(
                what=what,
                timezone=timezone,
                starts_on=day_of(starts_on),
                ends_on=day_of(ends_on),
                start_at=from_micros(start_at),
                end_at=from_micros(end_at),
                due_on=None if due_on is None else day_of(due_on),
                item_ends_on=None if item_ends_on is None else day_of(item_ends_on),
                handed_over_at=None if handed_over_at is None else from_micros(handed_over_at),
            )


def months(session: Session) -> list[Month]:
    """Every closed month, by contract and month."""
    rows = session.connection().execute(
        text(
            "SELECT c.name, m.month_starts_on, m.usage_mark FROM billing_month m "
            "JOIN contract c ON c.id = m.contract_id ORDER BY c.name, m.month_starts_on"
        )
    )
    return [Month(row[0], day_of(row[1]), row[2]) for row in rows]
