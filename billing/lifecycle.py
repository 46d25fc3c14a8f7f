"""What happens to connected objects: confirmed, suspended, resumed, terminated.

The law: everything is checked before anything is written, a refusal changes nothing, every change is an event on
the object's timeline, and every change to a contract's items raises the contract's revision. A command holds from
its day on and replaces what was said before about later days.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from sqlmodel import Session

from billing.activation import TERM_MONTHS, TERM_MONTHS_LIMIT, Activation, ObjectInfo, Outcome, activate
from billing.core.errors import Conflict, Invalid
from billing.core.lifecycle import ObjectStatus
from billing.core.periods import DAY, local_midnight
from billing.core.suspensions import Span, resume_from, suspend_from
from billing.lines import Line, effective_day, live_lines, suspend_days
from billing.pooling import plan_pools
from billing.recording import Said, commanded, record
from billing.telling import tell
from billing.terms import end_terms
from billing.timeline import COMMAND_EXPIRY_SECONDS
from storage import items

__all__ = [
    "TERM_MONTHS",
    "TERM_MONTHS_LIMIT",
    "Activation",
    "Fee",
    "ObjectInfo",
    "Outcome",
    "activate",
    "confirm",
    "end_terms",
    "resume",
    "suspend",
    "terminate",
]

Fee = Literal["none", "rest_of_term"]
"""What an early termination costs: nothing more, or the recurring fees to the end of the term."""


def confirm(
    session: Session,
    reference: str,
    on: date | None,
    now: datetime,
    origin: str,
    key: str = "",
    *,
    topic_devices: str = "devices",
) -> ObjectInfo:
    """Make a draft pending. Raises NotFound, Refused, or Invalid for a day: a confirmation has none."""
    if on is not None:
        raise Invalid(f"a confirmation takes effect at once; leave out the day {on}")
    row, status = commanded(session, reference, "confirm")
    said = Said(now=now, origin=origin, key=key, topic_devices=topic_devices)
    return record(session, row, status, "confirmed", said)


def suspend(
    session: Session,
    reference: str,
    on: date | None,
    now: datetime,
    origin: str,
    key: str = "",
    *,
    topic_devices: str = "devices",
    command_expiry_seconds: int = COMMAND_EXPIRY_SECONDS,
) -> ObjectInfo:
    """Suspend an active object from the local day `on` (the present one unless given) on, that day included.

    What was charged for days since then is looked at again by the next close. Raises NotFound, Refused, or Invalid
    for a day that is to come or outside the term.
    """
    said = Said(
        now=now, origin=origin, key=key, topic_devices=topic_devices, command_expiry_seconds=command_expiry_seconds
    )
    return _suspended_days(session, reference, on, said, command="suspend", kind="suspended", change=suspend_from)


def resume(
    session: Session,
    reference: str,
    on: date | None,
    now: datetime,
    origin: str,
    key: str = "",
    *,
    topic_devices: str = "devices",
    command_expiry_seconds: int = COMMAND_EXPIRY_SECONDS,
) -> ObjectInfo:
    """Resume a suspended object from the local day `on` (the present one unless given) on, which is billed again.

    A day before the suspension takes it back. Raises NotFound, Refused, or Invalid for a day to come or outside the
    term.
    """
    said = Said(
        now=now, origin=origin, key=key, topic_devices=topic_devices, command_expiry_seconds=command_expiry_seconds
    )
    return _suspended_days(session, reference, on, said, command="resume", kind="resumed", change=resume_from)


def _suspended_days(
    session: Session,
    reference: str,
    on: date | None,
    said: Said,
    *,
    command: str,
    kind: str,
    change: Callable[[Sequence[Span], date], Sequence[Span]],
) -> ObjectInfo:
    row, status = commanded(session, reference, command)
    running = live_lines(session, row.id)
    days = [effective_day(line, on, said.now) for line in running]
    for line, day in zip(running, days, strict=True):
        suspend_days(session, line, change, day)
    tell(session, row, command, {line.last.plan_version_id for line in running}, said)
    return record(
        session,
        row,
        status,
        kind,
        said,
        contracts={item.contract_id for line in running for item in line.items},
        item=running[0].last if running else None,
        detail={"on": min(days).isoformat()} if days else {},
    )


def terminate(
    session: Session,
    reference: str,
    on: date | None,
    now: datetime,
    origin: str,
    key: str = "",
    *,
    fee: Fee = "none",
    subscription: str | None = None,
    topic_devices: str = "devices",
    command_expiry_seconds: int = COMMAND_EXPIRY_SECONDS,
) -> ObjectInfo:
    """End an object for good; `on` is its last local day of service (the present one unless given), and is billed.

    The schedules that straddle the end are cut, later ones are cancelled, and what was charged past it is given back
    by the next close. With the `fee` rest_of_term the recurring fees to the end of the term stay owed, and are due
    with the termination. Of an object on several subscriptions one ends where it is named, and the object goes on.
    Raises NotFound, Refused, Conflict for one that it is not on, or Invalid for a day to come or before the first.
    """
    row, status = commanded(session, reference, "terminate")
    every = live_lines(session, row.id)
    running = [line for line in every if subscription in {None, line.last.subscription}]
    if subscription is not None and not running:
        names = ", ".join(line.last.subscription for line in every) or "none"
        raise Conflict(f"object {reference} is not on {subscription!r} now; its subscriptions: {names}")
    goes_on = len(running) < len(every)
    last_days = [min(effective_day(line, on, now, past_end=True), line.last.ends_on - DAY) for line in running]
    if fee == "rest_of_term":
        for line, day in zip(running, last_days, strict=True):
            if day < line.last.starts_on:
                raise Invalid(
                    f"the plan, price or contract of {reference} changed on {line.last.starts_on}; a fee to the end of "
                    "the term needs a last day from then on"
                )
    ended = [
        _end_line(session, line, day, keep_fees=fee == "rest_of_term")
        for line, day in zip(running, last_days, strict=True)
    ]
    detail = {"on": max(last_days).isoformat(), "fee": fee} if last_days else {}
    if goes_on:
        detail["subscription"] = running[0].last.subscription
    contracts = {item.contract_id for line in running for item in line.items}
    said = Said(
        now=now, origin=origin, key=key, topic_devices=topic_devices, command_expiry_seconds=command_expiry_seconds
    )
    if not goes_on:
        tell(session, row, "terminate", {line.last.plan_version_id for line in running}, said)
    done = record(
        session,
        row,
        ObjectStatus(row.status) if goes_on else status,
        "subscription_ended" if goes_on else "terminated",
        said,
        contracts=contracts,
        item=ended[0] if ended else None,
        detail=detail,
    )
    plan_pools(session, dict.fromkeys(contracts, min(last_days, default=date.max)))
    return done


def _end_line(session: Session, line: Line, last_day: date, *, keep_fees: bool) -> items.ItemRow:
    """End a line after `last_day`; items that would only begin later are taken back. Gives the item that ended."""
    ends_on = last_day + DAY
    items.cancel(session, [item.id for item in line.items if item.starts_on >= ends_on])
    ended = next(item for item in reversed(line.items) if item.starts_on < ends_on)
    end_at = ended.end_at if ended.ends_on == ends_on else local_midnight(ends_on, ZoneInfo(ended.timezone))
    suspend_days(session, line, resume_from, ends_on)
    items.cut(
        session,
        [ended.id],
        items.Cut(ends_on=ends_on, end_at=end_at, last_day=last_day, status="terminated", keep_fees=keep_fees),
    )
    return ended._replace(ends_on=ends_on, status="terminated")
