"""What Sparkplug births said, kept so that an alias is known after a start and to every member."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session, func, select

from storage.tables import SparkplugBirth


def known(session: Session) -> dict[str, Mapping[str, Any]]:
    """All births by their node."""
    return dict(session.exec(select(SparkplugBirth.node, SparkplugBirth.content)).all())


def keep(session: Session, births: Mapping[str, Mapping[str, Any]], *, now: datetime) -> None:
    """Keep what was born, instead of what was known of the same node."""
    for node, content in sorted(births.items()):
        row = session.get(SparkplugBirth, node) or SparkplugBirth(node=node, content={}, revision=0, recorded_at=now)
        row.content, row.recorded_at, row.revision = dict(content), now, row.revision + 1
        session.add(row)
    session.flush()


def revision(session: Session) -> int:
    """Grows with each birth that said something new."""
    return int(session.exec(select(func.sum(SparkplugBirth.revision))).one() or 0)
