"""From a day on, lines go on as new items: on another plan, another version of it, or in another contract.

The law: the day of change belongs to what is new, and every instant to exactly one of the two; the old item's
schedules are cut there, and what was charged past it is given back by the next close.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlmodel import Session

from billing.core.periods import DAY, local_midnight
from billing.core.suspensions import Span, clipped, resume_from
from billing.lines import Line, suspend_days, suspended_spans
from billing.planning import Planned, write_schedules
from billing.pooling import plan_pools
from storage import catalogue as declared
from storage import items
from storage.tables import Contract, Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What lines go on with from the local day `on`."""

    on: date
    contract: Contract
    subscription: Subscription
    plan_version_id: int


def succeed(session: Session, lines: Sequence[Line], target: Target) -> dict[int, items.ItemRow]:
    """Cut the lines, at most one an object, and let each go on in a new item; gives the new items by object id.

    Raises nothing: whoever calls it has checked that each line reaches the day.
    """
    spans = {line.last.object_id: suspended_spans(session, line) for line in lines}
    cancelled = [item.id for line in lines for item in line.items if item.starts_on >= target.on]
    starts_at = {line.last.object_id: _start_at(line, target) for line in lines}
    for line in lines:
        if spans[line.last.object_id]:
            suspend_days(session, line, resume_from, target.on)
    items.cancel(session, cancelled)
    cut: dict[datetime, list[int]] = {}
    for line in lines:
        for item in line.items:
            if item.starts_on < target.on < item.ends_on:
                cut.setdefault(starts_at[item.object_id], []).append(item.id)
    for end_at, ids in cut.items():
        where = items.Cut(ends_on=target.on, end_at=end_at, last_day=target.on - DAY, status="replaced")
        items.cut(session, ids, where)
    rows = {line.last.object_id: _row(line, target, starts_at[line.last.object_id]) for line in lines}
    ids_by_object = items.add_items(session, list(rows.values()))
    _write(session, lines, target, ids_by_object, starts_at)
    _carry(session, spans, target, ids_by_object)
    contracts = {declared.key(target.contract.id), *(item.contract_id for line in lines for item in line.items)}
    declared.raise_revisions(session, contracts)
    plan_pools(session, dict.fromkeys(contracts, target.on))
    return {
        line.last.object_id: line.last._replace(
            id=ids_by_object[line.last.object_id],
            starts_on=target.on,
            contract=target.contract.name,
            contract_id=declared.key(target.contract.id),
            subscription=target.subscription.name,
            subscription_id=declared.key(target.subscription.id),
            timezone=target.contract.timezone,
        )
        for line in lines
    }


def _start_at(line: Line, target: Target) -> datetime:
    """The instant of the change: midnight where the line was until then, also when the new contract's zone differs."""
    begins = next((item.start_at for item in line.items if item.starts_on == target.on), None)
    return begins or local_midnight(target.on, ZoneInfo(line.last.timezone))


def _row(line: Line, target: Target, start_at: datetime) -> dict[str, object]:
    last = line.last
    before = [item for item in line.items if item.starts_on < target.on]
    return {
        "name": last.name,
        "contract_id": target.contract.id,
        "subscription_id": target.subscription.id,
        "object_id": last.object_id,
        "plan_version_id": target.plan_version_id,
        "status": "running",
        "term_months": last.term_months,
        "starts_on": target.on,
        "ends_on": last.ends_on,
        "start_at": start_at,
        "end_at": local_midnight(last.ends_on, ZoneInfo(target.contract.timezone)),
        "follows_id": before[-1].id if before else None,
        "term_starts_on": line.term_starts_on,
        "renewal": last.renewal,
        "notice_days": last.notice_days,
        "notice_on": last.notice_on,
    }


def _write(
    session: Session,
    lines: Sequence[Line],
    target: Target,
    ids: dict[int, int],
    starts_at: dict[int, datetime],
) -> None:
    zone = ZoneInfo(target.contract.timezone)
    midnight = local_midnight(target.on, zone)
    planned = {}
    for line in lines:
        object_id = line.last.object_id
        planned[ids[object_id]] = Planned(
            object_id=object_id,
            contract_id=declared.key(target.contract.id),
            subscription_id=declared.key(target.subscription.id),
            plan_version_id=target.plan_version_id,
            timezone=target.contract.timezone,
            starts_on=target.on,
            ends_on=line.last.ends_on,
            continues=line.last.contract_id == target.contract.id and line.term_starts_on < target.on,
            counted_from=line.term_starts_on if line.term_starts_on < target.on else None,
            start_at=None if starts_at[object_id] == midnight else starts_at[object_id],
        )
    write_schedules(session, planned)


def _carry(session: Session, spans: dict[int, tuple[Span, ...]], target: Target, ids: dict[int, int]) -> None:
    """Suspended days from the change on are suspended days of the new items."""
    items.replace_suspensions(
        session,
        {ids[object_id]: clipped(each, target.on, None) for object_id, each in spans.items() if each},
    )
