"""How many there are of what an operator watches; each is read from an index or from few rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session, col, func, select

from storage import gaps, members, quarantine, registry
from storage.tables import OPEN_STATUSES, IngestCounter, Invoice, InvoicingSchedule, Outbox

Values = Mapping[tuple[str, ...], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """By label where there is one."""

    objects: Values
    refused: Values
    outbox: int
    due: int
    gaps: int
    drafts: int
    batches: int
    up: Values
    dead: Values
    """Ingest members that fell silent without having been stopped: what the broker gives them waits."""
    heard: Values
    """When each ingest member was last heard, in seconds since 1970 UTC."""
    messages: Values


def read(session: Session, now: datetime) -> Figures:
    """The figures as they are now."""
    counter = session.get(IngestCounter, 1)
    found = members.members(session, now)
    due = (
        select(func.count())
        .select_from(InvoicingSchedule)
        .where(text(f"status IN {OPEN_STATUSES}"), col(InvoicingSchedule.due_on) <= now.date())
    )
    return Figures(
        objects={(status,): count for status, count in registry.count_by_status(session).items()},
        refused={(reason,): count for reason, count in quarantine.counts(session).items()},
        outbox=session.exec(select(func.count()).select_from(Outbox).where(Outbox.status == "waiting")).one(),
        due=session.exec(due).one(),
        gaps=gaps.count(session),
        drafts=session.exec(select(func.count()).select_from(Invoice).where(Invoice.status == "draft")).one(),
        batches=0 if counter is None else counter.last_batch,
        up={(it.client_id,): it.state == "at work" for it in found},
        dead={(it.client_id,): it.state == "dead" for it in found},
        heard={(it.client_id,): it.heartbeat_at.timestamp() for it in found},
        messages={(it.client_id,): it.messages for it in found},
    )
