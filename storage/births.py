"""What Sparkplug births said, kept so that an alias is known after a start and to every member."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, delete, func, select

from storage.tables import SparkplugBirth, SparkplugFormerBirth
from storage.types import from_micros

FORMER_KEPT = 100
"""Births of a node that another one replaced: a message that waits longer is named by the oldest of them."""


def known(session: Session) -> dict[str, Mapping[str, Any]]:
    """All births by their node."""
    return dict(session.exec(select(SparkplugBirth.node, SparkplugBirth.content)).all())


def then(session: Session, nodes: Collection[str], *, at: datetime) -> dict[str, Mapping[str, Any]]:
    """The births that were in force when a message of these nodes arrived: where none was yet, the first after it."""
    found = dict(
        session.exec(
            select(SparkplugBirth.node, SparkplugBirth.content).where(col(SparkplugBirth.node).in_(list(nodes)))
        ).all()
    )
    former = (
        select(SparkplugFormerBirth.node, SparkplugFormerBirth.content)
        .where(col(SparkplugFormerBirth.node).in_(list(nodes)), SparkplugFormerBirth.until_at > at)
        .order_by(col(SparkplugFormerBirth.until_at).desc())
    )
    return found | dict(session.exec(former).all())


def keep(session: Session, births: Mapping[str, tuple[Mapping[str, Any], int]], *, now: datetime) -> None:
    """Keep what was born (with its arrival in microseconds), and what was known of the same node as a former birth."""
    for node, (content, at) in sorted(births.items()):
        row = session.get(SparkplugBirth, node)
        if row is None:
            row = SparkplugBirth(node=node, content={}, revision=0, recorded_at=now)
        else:
            _keep_former(session, row, from_micros(at))
        row.content, row.recorded_at, row.revision = dict(content), now, row.revision + 1
        session.add(row)
    session.flush()


def _keep_former(session: Session, row: SparkplugBirth, until: datetime) -> None:
    """Of two within one microsecond the first is kept: the one between them named nothing."""
    if session.get(SparkplugFormerBirth, (row.node, until)) is None:
        session.add(SparkplugFormerBirth(node=row.node, until_at=until, content=row.content))
    session.flush()
    ends = select(SparkplugFormerBirth.until_at).where(SparkplugFormerBirth.node == row.node)
    newest = ends.order_by(col(SparkplugFormerBirth.until_at).desc()).offset(FORMER_KEPT - 1).limit(1)
    oldest = session.exec(newest).first()
    if oldest is not None:
        gone = delete(SparkplugFormerBirth)
        session.exec(
            gone.where(col(SparkplugFormerBirth.node) == row.node, col(SparkplugFormerBirth.until_at) < oldest)
        )


def revision(session: Session) -> int:
    """Grows with each birth that said something new."""
    return int(session.exec(select(func.sum(SparkplugBirth.revision))).one() or 0)
