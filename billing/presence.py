"""Who counts as offline because nothing came from it, and what becomes of reports of presence that wait."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import Session

from billing.core.durations import duration
from billing.core.errors import Invalid
from storage import inactivity, settling
from storage import sources as stored


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineAfter:
    """After how long without a message an object is offline; its source says it first, then its kind."""

    default: timedelta | None = None
    kinds: Mapping[str, timedelta] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> "OfflineAfter":
        """From `1h`, or `tracker=15m, meter=1d, 1h`; nothing for an empty text. Raises Invalid."""
        default: timedelta | None = None
        kinds: dict[str, timedelta] = {}
        for part in filter(None, (it.strip() for it in text.split(","))):
            kind, separator, length = part.rpartition("=")
            if separator:
                kinds[kind.strip()] = duration(length.strip())
            elif default is not None:
                raise Invalid(f"METERGATE_OFFLINE_AFTER says two lengths for all kinds: {text!r}; keep one")
            else:
                default = duration(part)
        return cls(default=default, kinds=kinds)


NEVER = OfflineAfter()


def any_due(session: Session, now: datetime) -> bool:
    """Whether any report of presence is to be decided."""
    return settling.any_due(session, now)


def look(
    session: Session,
    after: OfflineAfter,
    now: datetime,
    *,
    listening_since: datetime | None = None,
    debounce: timedelta = timedelta(0),
) -> int:
    """Note as offline what was silent for too long; how many.

    Silence counts from `listening_since` on: while nobody listened, nobody was silent. What has to hold for the
    `debounce` before it is an event (a source may say another one) is noted that much later.
    """
    sources: dict[str, timedelta] = {}
    holds: dict[str, timedelta] = {}
    for row in stored.in_force(session):
        if row.definition.get("offline_after"):
            sources[row.name] = duration(row.definition["offline_after"])
        if row.definition.get("presence_debounce"):
            holds[row.name] = duration(row.definition["presence_debounce"])
    lengths = [*sources.values(), *after.kinds.values(), *([] if after.default is None else [after.default])]
    if not lengths:
        return 0
    marked = 0
    for found in inactivity.quiet(session, since=now - min(lengths)):
        silent = []
        for it in found:
            length = sources.get(it.source or "") or after.kinds.get(it.kind) or after.default
            if length is None:
                continue
            heard = it.last_seen_at if listening_since is None else max(it.last_seen_at, listening_since)
            hold = holds.get(it.source or "", debounce)
            if heard + length + hold + inactivity.RESOLUTION <= now:
                silent.append((it, length + (heard - it.last_seen_at)))
        marked += inactivity.mark(session, silent, now)
    return marked


def settle(session: Session, now: datetime) -> int:
    """Decide the reports of presence whose time has come; how many events that makes."""
    return settling.settle(session, now)
