"""Registers whose first reading came late: what was counted from a later one is counted from it.

The law: the periods of a register add up to its last reading less its first, whichever of them came last.
"""

from collections.abc import Iterable

from sqlmodel import Session

from billing.closing.walking import registry_of
from storage import baselines, reversals, walking
from storage import catalogue as declared
from storage.baselines import LateFirst
from storage.late import touched_days
from storage.types import DAY_MICROS


def begin_earlier(session: Session) -> int:
    """Forget the baselines before which a reading came since, and have their periods valued again; how many.

    What is kept after a baseline stays, unless the register turned over or was exchanged in between: then it was
    counted from another beginning.
    """
    found = baselines.late_firsts(session, touched_days(session))
    if not found:
        return 0
    rising = _only_risen(session, found)
    for it in found:
        contracts = baselines.begin_earlier(session, it)
        if it not in rising:
            place = {"object_id": it.object_id, "metric_id": it.metric_id}
            contracts |= reversals.forget_boundaries(session, **place, after=it.first_at)
        declared.raise_revisions(session, contracts)
    return len(found)


def _only_risen(session: Session, found: Iterable[LateFirst]) -> set[LateFirst]:
    known, rising = registry_of(session), set()
    for it in found:
        register = (it.object_id, it.metric_id)
        if it.first >= it.baseline or register in known.exchanges or register in known.accepted:
            continue
        fell = walking.irregular(
            session,
            it.metric_id,
            first_day=it.first_at // DAY_MICROS,
            last_day=it.period_end // DAY_MICROS,
            object_ids={it.object_id},
        )
        if not fell:
            rising.add(it)
    return rising
