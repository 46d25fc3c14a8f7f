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


def look(session: Session, after: OfflineAfter, now: datetime) -> int:
    """Note as offline what was silent for too long; how many."""
    sources = {
        row.name: duration(row.definition["offline_after"])
        for row in stored.in_force(session)
        if row.definition.get("offline_after")
    }
    lengths = [*sources.values(), *after.kinds.values(), *([] if after.default is None else [after.default])]
    if not lengths:
        return 0
    marked = 0
    for found in inactivity.quiet(session, since=now - min(lengths)):
        silent = []
        for it in found:
            length = sources.get(it.source or "") or after.kinds.get(it.kind) or after.default
            if length is not None and it.last_seen_at + length + inactivity.RESOLUTION <= now:
                silent.append((it, length))
        marked += inactivity.mark(session, silent, now)
    return marked


def settle(session: Session, now: datetime) -> int:
    """Decide the reports of presence whose time has come; how many events that makes."""
    return settling.settle(session, now)
