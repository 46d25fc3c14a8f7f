"""Sources as they were declared: append-only versions, the last of each name in force."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlmodel import Session, col, func, select

from storage.catalogue import add
from storage.tables import Metric, Source

Revision = tuple[int, tuple[tuple[str, str, int, str], ...]]
"""Differs when a source changed, or a metric that sources feed."""


class MetricFact(NamedTuple):
    """What a mapping needs to know of a metric."""

    kind: str
    decimals: int
    excess_digits: str


def in_force(session: Session) -> list[Source]:
    """The last version of each source, in the order of names, those that are switched off with them."""
    last = select(Source.name, func.max(Source.version).label("version")).group_by(col(Source.name)).subquery()
    query = (
        select(Source)
        .join(last, (col(Source.name) == last.c.name) & (col(Source.version) == last.c.version))
        .order_by(col(Source.name))
    )
    return list(session.exec(query))


def definitions_ever(session: Session) -> list[Mapping[str, Any]]:
    """Every definition that was ever in force: what the broker's session may still collect for."""
    return list(session.exec(select(Source.definition)))


def metrics(session: Session) -> dict[str, MetricFact]:
    """Every metric by its name."""
    rows = session.exec(select(Metric.name, Metric.kind, Metric.decimals, Metric.excess_digits).order_by(Metric.name))
    return {name: MetricFact(kind, decimals, excess) for name, kind, decimals, excess in rows}


def revision(session: Session) -> Revision:
    """What to compare with the revision that was read before."""
    newest = session.exec(select(func.max(Source.id))).one() or 0
    return newest, tuple((name, *fact) for name, fact in metrics(session).items())


def add_version(session: Session, *, name: str, definition: Mapping[str, Any], now: datetime) -> Source:
    """Write the next version of a source; it is in force from the commit on."""
    last = session.exec(select(func.max(Source.version)).where(Source.name == name)).one() or 0
    row = Source(name=name, version=last + 1, definition=dict(definition), created_at=now)
    add(session, row)
    return row
