"""What happens to connected objects: confirmed, activated, suspended, resumed, terminated, and the end of a term.

The law: everything is checked before anything is written, a refusal changes nothing, every change is an event on
the object's timeline, and every change to a contract's items raises the contract's revision.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import Session

from billing.activation import (
    TERM_MONTHS,
    TERM_MONTHS_LIMIT,
    Activation,
    ObjectInfo,
    Outcome,
    activate,
    event_row,
    item_json,
    known_object,
    local_day,
    publish_states,
)
from billing.core.errors import Invalid
from billing.core.lifecycle import TERM_END_TRANSITIONS, ObjectStatus, next_status
from billing.core.periods import DAY, local_midnight
from storage import catalogue as declared
from storage import items, registry
from storage.tables import Suspension
from storage.types import to_micros

__all__ = [
    "TERM_MONTHS",
    "TERM_MONTHS_LIMIT",
    "Activation",
    "ObjectInfo",
    "Outcome",
    "activate",
    "confirm",
    "end_terms",
    "resume",
    "suspend",
    "terminate",
]


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
    row, status = _commanded(session, reference, "confirm")
    return _finish(session, row, status, "confirmed", [], now, origin, key, {}, topic_devices)


def suspend(
    session: Session,
    reference: str,
    on: date | None,
    now: datetime,
    origin: str,
    key: str = "",
    *,
    topic_devices: str = "devices",
) -> ObjectInfo:
    """Suspend an active object from the local day `on` (the present one unless given), that day included.

    What was charged for days since then is looked at again by the next close. Raises NotFound, Refused, or Invalid
    for a day that is to come, outside the term, or before the end of an earlier suspension.
    """
    row, status = _commanded(session, reference, "suspend")
    running = _running(session, row)
    days = {item.id: _effective_day(item, on, now) for item in running}
    earlier = items.suspensions(session, days)
    for item in running:
        for suspension in earlier.get(item.id, []):
            if suspension.ends_on is None or days[item.id] < suspension.ends_on:
                raise Invalid(
                    f"object {reference} was suspended from {suspension.starts_on} to {suspension.ends_on or 'now'}; "
                    f"{days[item.id]} is inside or before that, so give a later day"
                )
    for item in running:
        day = days[item.id]
        same = [each for each in earlier.get(item.id, []) if each.starts_on == day]
        suspension = same[0] if same else Suspension(contract_item_id=item.id, starts_on=day)
        suspension.ends_on = None
        items.save_suspension(session, suspension)
        items.mark_revalue(session, item.id, day)
    detail = {"on": min(days.values()).isoformat()} if days else {}
    return _finish(session, row, status, "suspended", running, now, origin, key, detail, topic_devices)


def resume(
    session: Session,
    reference: str,
    on: date | None,
    now: datetime,
    origin: str,
    key: str = "",
    *,
    topic_devices: str = "devices",
) -> ObjectInfo:
    """Resume a suspended object from the local day `on` (the present one unless given), which is billed again.

    Raises NotFound, Refused, or Invalid for a day to come or before the suspension began.
    """
    row, status = _commanded(session, reference, "resume")
    running = _running(session, row)
    days = {item.id: _effective_day(item, on, now) for item in running}
    opened = [each for rows in items.suspensions(session, days).values() for each in rows if each.ends_on is None]
    for suspension in opened:
        if days[suspension.contract_item_id] < suspension.starts_on:
            raise Invalid(f"object {reference} is suspended since {suspension.starts_on}; resume it then or later")
    for suspension in opened:
        suspension.ends_on = days[suspension.contract_item_id]
        items.save_suspension(session, suspension)
        items.mark_revalue(session, suspension.contract_item_id, suspension.starts_on)
    detail = {"on": min(days.values()).isoformat()} if days else {}
    return _finish(session, row, status, "resumed", running, now, origin, key, detail, topic_devices)


def terminate(
    session: Session,
    reference: str,
    on: date | None,
    now: datetime,
    origin: str,
    key: str = "",
    *,
    topic_devices: str = "devices",
) -> ObjectInfo:
    """End an object for good; `on` is its last local day of service (the present one unless given), and is billed.

    The schedules that straddle the end are cut, later ones are cancelled, and what was charged past it is given back
    by the next close. Raises NotFound, Refused, or Invalid for a day to come or before the item's first.
    """
    row, status = _commanded(session, reference, "terminate")
    running = _running(session, row)
    days = {item.id: min(_effective_day(item, on, now, past_end=True), item.ends_on - DAY) for item in running}
    suspensions = items.suspensions(session, days)
    cut = []
    for item in running:
        ends_on = days[item.id] + DAY
        items.cut(session, item.id, ends_on, local_midnight(ends_on, ZoneInfo(item.timezone)), days[item.id])
        for suspension in suspensions.get(item.id, []):
            if suspension.ends_on is None or suspension.ends_on > ends_on:
                suspension.ends_on = max(ends_on, suspension.starts_on)
                items.save_suspension(session, suspension)
        cut.append(item._replace(ends_on=ends_on, status="terminated"))
    detail = {"on": max(days.values()).isoformat()} if days else {}
    return _finish(session, row, status, "terminated", cut, now, origin, key, detail, topic_devices)


def end_terms(
    session: Session, now: datetime, limit: int = 1000, *, topic_devices: str = "devices"
) -> list[ObjectInfo]:
    """End the running items whose term is over, at most `limit`; an object without another returns to pending.

    Call it until it gives nothing. Gives one entry for each item that ended.
    """
    ended = items.over(session, now, limit)
    if not ended:
        return []
    items.set_status(session, [item.id for item in ended], "ended")
    objects = registry.find_by_id(session, {item.object_id for item in ended}, lock=True)
    still = {item.object_id for item in items.of_objects(session, objects) if item.status == "running"}
    for item_id, rows in items.suspensions(session, [item.id for item in ended]).items():
        for suspension in rows:
            if suspension.ends_on is None:
                ends_on = next(item.ends_on for item in ended if item.id == item_id)
                suspension.ends_on = max(ends_on, suspension.starts_on)
                items.save_suspension(session, suspension)
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
                "term_ended",
                object_id=item.object_id,
                now=now,
                origin="engine",
                key=str(item.id),
                detail={"contract_item": _shown(item)},
            )
            for item in ended
        ],
    )
    declared.raise_revisions(session, {item.contract_id for item in ended})
    infos = [
        ObjectInfo(
            reference=objects[item.object_id].reference,
            status=str(statuses[item.object_id]),
            contract_item=_shown(item),
        )
        for item in ended
    ]
    publish_states(session, infos, now, topic_devices)
    return infos


# --- shared steps ----------------------------------------------------------------------------------------


def _commanded(session: Session, reference: str, command: str) -> tuple[registry.ObjectRow, ObjectStatus]:
    row = known_object(registry.find(session, [reference], lock=True), reference)
    return row, next_status(ObjectStatus(row.status), command)


def _running(session: Session, row: registry.ObjectRow) -> list[items.ItemRow]:
    return [item for item in items.of_objects(session, [row.id]) if item.status == "running"]


def _effective_day(item: items.ItemRow, on: date | None, now: datetime, *, past_end: bool = False) -> date:
    today = local_day(now, item.timezone)
    day = on or today
    if day > today:
        raise Invalid(f"{day} is still to come in {item.timezone}; send the command on that day")
    if day < item.starts_on:
        raise Invalid(f"contract item {item.name} starts on {item.starts_on}; {day} is before that")
    if day >= item.ends_on and not past_end:
        raise Invalid(f"contract item {item.name} ends on {item.ends_on - DAY}; {day} is after that")
    return day


def _shown(item: items.ItemRow) -> dict[str, Any]:
    return item_json(
        name=item.name,
        contract=item.contract,
        subscription=item.subscription,
        starts_on=item.starts_on,
        ends_on=item.ends_on,
    )


def _finish(
    session: Session,
    row: registry.ObjectRow,
    status: ObjectStatus,
    kind: str,
    touched: Sequence[items.ItemRow],
    now: datetime,
    origin: str,
    key: str,
    detail: Mapping[str, Any],
    topic_devices: str,
) -> ObjectInfo:
    """Write the status, the event and the retained state, and raise the revisions."""
    registry.set_status(session, [row.id], status.value)
    if not key and registry.event_count(session, row.id, kind, now):
        key = f"again-{to_micros(now)}-{registry.event_count(session, row.id, kind, now)}"
    event = event_row(kind, object_id=row.id, now=now, origin=origin, key=key, detail=detail)
    registry.add_events(session, [event])
    declared.raise_revisions(session, {item.contract_id for item in touched})
    info = ObjectInfo(
        reference=row.reference,
        status=status.value,
        contract_item=_shown(touched[0]) if touched else None,
    )
    publish_states(session, [info], now, topic_devices)
    return info
