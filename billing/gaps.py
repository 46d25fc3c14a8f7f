"""Gaps as people deal with them: which are open, and the acceptance that a period is good enough to be billed.

The law: a gap is accepted by name of a reason, and stays in the list with it.
"""

from datetime import datetime

from sqlmodel import Session

from billing.core.errors import Invalid, Refused
from storage import gaps
from storage.gaps import Listed, WhichGaps

WHY_MAX = 500
"""Characters of the reason for which a gap is accepted."""


def accept(session: Session, which: WhichGaps, *, why: str, now: datetime) -> list[Listed]:
    """Clear the gaps that are open and meant: their periods are billed as they are, what was held by the next close.

    Raises Invalid for a missing or endless reason, and Refused where an id names no open gap.
    """
    if not why.strip() or len(why) > WHY_MAX:
        raise Invalid(f"say in at most {WHY_MAX} characters why the usage is good enough to be billed")
    meant = WhichGaps(
        open_only=True,
        reason=which.reason,
        object_reference=which.object_reference,
        since=which.since,
        until=which.until,
        ids=which.ids,
    )
    found = gaps.listed(session, meant, limit=None)
    missing = set(which.ids or ()) - {each.gap.id for each in found}
    if missing:
        raise Refused(f"no open gap has the id {min(missing)}; `metergate gaps list --open` shows those that are open")
    for each in found:
        gaps.clear(session, each.gap, by="accepted", at=now, why=why.strip())
    return found
