"""The figures of the overview: each read from an index or from few rows, whatever the size of the fleet."""

from datetime import date, datetime
from threading import Lock
from typing import NamedTuple

from sqlalchemy import func
from sqlmodel import Session, col, select

from storage.one_object import EPOCH
from storage.tables import Invoice, Quarantine, UsageDay, UsageRollup


class DayCounts:
    """How many usage records each UTC day has; a day is counted again only when a batch has touched it since.

    Whoever asks while another counts waits, and finds it counted.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int]] = {}
        self._one_counts = Lock()

    def between(self, session: Session, first: date, last: date) -> dict[date, int]:
        """The records of the days `[first, last]` that have any."""
        with self._one_counts:
            return self._between(session, first, last)

    def _between(self, session: Session, first: date, last: date) -> dict[date, int]:
        span = ((first - EPOCH).days, (last - EPOCH).days)
        marks = {row.day: row.batch for row in session.exec(select(UsageDay).where(col(UsageDay.day).between(*span)))}
        for day, batch in marks.items():
            if self._known.get(day, (0, 0))[0] != batch:
                count = session.exec(
                    select(func.coalesce(func.sum(UsageRollup.record_count), 0)).where(UsageRollup.day == day)
                ).one()
                self._known[day] = (batch, int(count))
        return {date.fromordinal(EPOCH.toordinal() + day): self._known[day][1] for day in marks}


def refused_at(session: Session, limit: int) -> list[datetime]:
    """When the last refused messages were received, at most `limit`."""
    return list(session.exec(select(Quarantine.received_at).order_by(col(Quarantine.id).desc()).limit(limit)))


class Revenue(NamedTuple):
    """What was issued for a month in a currency, credit notes taken off, net."""

    month_starts_on: date
    currency: str
    minor_digits: int
    net_minor: int


def revenue(session: Session, since: date) -> list[Revenue]:
    """What was issued for the months since a day, by currency."""
    rows = session.exec(
        select(  # type: ignore[call-overload]  # SQLModel's overloads end at four columns
            Invoice.month_starts_on, Invoice.currency, Invoice.minor_digits, Invoice.kind, func.sum(Invoice.net_minor)
        )
        .where(Invoice.month_starts_on >= since, Invoice.status == "issued")
        .group_by(Invoice.month_starts_on, Invoice.currency, Invoice.minor_digits, Invoice.kind)
    )
    found: dict[tuple[date, str, int], int] = {}
    for month, currency, digits, kind, net in rows:
        key = (month, currency, digits)
        found[key] = found.get(key, 0) + (-int(net) if kind == "credit_note" else int(net))
    return [Revenue(*key, net) for key, net in sorted(found.items())]


def draft_count(session: Session) -> int:
    """How many drafts wait for approval."""
    return session.exec(select(func.count()).select_from(Invoice).where(Invoice.status == "draft")).one()
