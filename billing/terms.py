"""The end of a term: renewed by itself, or the object returns to pending; and the notice that decides which.

The law: what a term's end does follows from the item alone, so that it is the same whenever it is looked at; a
renewal extends the item, and its schedules go on where the old ones end, as if the term had been longer from the start.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import Session

from billing.activation import ObjectInfo, publish_states
from billing.core.errors import Conflict
from billing.core.lifecycle import TERM_END_TRANSITIONS, ObjectStatus
from billing.core.periods import DAY, add_months, local_midnight
from billing.lines import effective_day, live_lines
from billing.planning import Planned, go_on
from billing.pooling import plan_pools
from billing.recording import Said, commanded, record, shown
from billing.timeline import event_row
from storage import catalogue as declared
from storage import items, registry
from storage.items import ItemRow


def next_term_end(item: ItemRow) -> date:
    """Where the term after the present one ends, counted from the first term's start so that nothing drifts."""
    start = item.term_starts_on or item.starts_on
    terms = 1
    while (end := add_months(start, terms * item.term_months)) <= item.ends_on:
        terms += 1
    return end


def renews(item: ItemRow) -> bool:
    """Whether the end of the present term renews the item: nobody gave notice in time."""
    if item.renewal != "automatic":
        return False
    return item.notice_on is None or item.notice_on + timedelta(days=item.notice_days) > item.ends_on


def last_day(item: ItemRow) -> date:
    """The last day of an item to which notice was given: of the present term, or when that was late of the next."""
    return (item.ends_on if not renews(item) else next_term_end(item)) - DAY


def end_terms(
    session: Session, now: datetime, limit: int = 1000, *, topic_devices: str = "devices"
) -> list[ObjectInfo]:
    """Renew or end the running items whose term is over, at most `limit`.

    An object whose last item ended returns to pending. Call it until it gives nothing: an item whose terms passed
    unseen is renewed once for each. Gives one entry for each item.
    """
    # Two closers that meet here must not renew one term twice.
    declared.take_turns(session, "terms")
    over = items.over(session, now, limit)
    if not over:
        return []
    objects = registry.find_by_id(session, {item.object_id for item in over}, lock=True)
    renewed = [_renew(session, item) for item in over if renews(item)]
    ended = [item for item in over if not renews(item)]
    _end(session, ended)
    still = {item.object_id for item in items.of_objects(session, objects) if item.status == "running"}
    statuses = {
        row.id: row.status if row.id in still else TERM_END_TRANSITIONS.get(ObjectStatus(row.status), row.status)
        for row in objects.values()
    }
    for status in set(statuses.values()):
        registry.set_status(session, [key for key, value in statuses.items() if value == status], str(status))
    registry.add_events(
        session,
        [
            event_row(
                kind,
                object_id=item.object_id,
                now=now,
                origin="engine",
                key=f"{item.id}-{item.ends_on}",
                detail={"contract_item": shown(item)},
            )
            for kind, group in (("term_ended", ended), ("renewed", renewed))
            for item in group
        ],
    )
    declared.raise_revisions(session, {item.contract_id for item in over})
    plan_pools(session, {item.contract_id: min(it.ends_on for it in over) for item in over if renews(item)})
    infos = [
        ObjectInfo(
            reference=objects[item.object_id].reference, status=str(statuses[item.object_id]), contract_item=shown(item)
        )
        for item in (*ended, *renewed)
    ]
    publish_states(session, infos, now, topic_devices)
    return infos


def _end(session: Session, ended: Sequence[ItemRow]) -> None:
    items.set_status(session, [item.id for item in ended], "ended")
    ends = {item.id: item.ends_on for item in ended}
    stored = items.suspensions(session, ends)
    items.replace_suspensions(
        session,
        {
            item_id: [(row.starts_on, min(row.ends_on or ends[item_id], ends[item_id])) for row in rows]
            for item_id, rows in stored.items()
        },
    )


def _renew(session: Session, item: ItemRow) -> ItemRow:
    ends_on = next_term_end(item)
    end_at = local_midnight(ends_on, ZoneInfo(item.timezone))
    planned = Planned(
        object_id=item.object_id,
        contract_id=item.contract_id,
        subscription_id=item.subscription_id,
        plan_version_id=item.plan_version_id,
        timezone=item.timezone,
        starts_on=item.ends_on,
        ends_on=ends_on,
        continues=True,
        counted_from=item.term_starts_on or item.starts_on,
    )
    items.extend(session, item.id, ends_on, end_at)
    go_on(session, item.id, planned)
    return item._replace(ends_on=ends_on, end_at=end_at)


def no_renew(
    session: Session,
    reference: str,
    on: date | None,
    now: datetime,
    origin: str,
    key: str = "",
    *,
    topic_devices: str = "devices",
) -> ObjectInfo:
    """Take note that an object's term is not to be renewed; `on` is the day the notice was given.

    Given later than the notice days before the end of the term, it holds for the end of the next one. Raises
    NotFound, Refused, Conflict when no term renews by itself, or Invalid for a day to come or before the service.
    """
    row, status = commanded(session, reference, "no_renew")
    running = [line for line in live_lines(session, row.id) if line.last.renewal == "automatic"]
    if not running:
        raise Conflict(f"no term of object {reference} renews by itself; there is nothing to give notice of")
    days = [effective_day(line, on, now) for line in running]
    if any(line.last.notice_on is not None for line in running):
        raise Conflict(f"notice was given for object {reference} already")
    noticed = [line.last._replace(notice_on=day) for line, day in zip(running, days, strict=True)]
    for item in noticed:
        items.set_notice(session, [item.id], item.notice_on)
    ends = max(last_day(item) for item in noticed)
    return record(
        session,
        row,
        status,
        "notice_given",
        Said(now=now, origin=origin, key=key, topic_devices=topic_devices),
        contracts={item.contract_id for item in noticed},
        item=noticed[0],
        detail={"on": min(days).isoformat(), "last_day": ends.isoformat()},
    )
