"""A change of price: items go on from a day on another version of their plan, one object's or all of a plan's.

The law: a plan version that is in use never changes; whoever is to have another price goes on in a new item, as in a
change of plan. The day belongs to the new price, and what was charged past it is corrected by the next close.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlmodel import Session

from billing.activation import ObjectInfo, local_day, publish_states
from billing.core.errors import BillingError, Conflict, Invalid, NotFound
from billing.core.periods import DAY, local_midnight
from billing.lines import Line, lines, live_lines
from billing.recording import Said, commanded, record, shown
from billing.succession import Target, succeed
from billing.terms import end_terms
from billing.timeline import event_row
from storage import catalogue as declared
from storage import items, registry, subscribed
from storage.subscribed import Subscribed
from storage.tables import PlanVersion

Items = Literal["all", "new"]
"""Who gets the price: every object, or only those that are activated from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """An object that stays on its price, and why."""

    reference: str
    contract: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """What a change of price did."""

    plan: str
    version: int
    moved: int
    """Objects that go on with the new price."""
    subscriptions: int
    """Subscriptions whose new objects take it."""
    left: tuple[Left, ...]
    waiting: tuple[str, ...]
    """Contracts whose new objects take it on the day, which is to come."""

    def as_json(self) -> dict[str, Any]:
        return {
            "plan": self.plan,
            "version": self.version,
            "moved": self.moved,
            "subscriptions": self.subscriptions,
            "left": [{"object": it.reference, "contract": it.contract, "reason": it.reason} for it in self.left],
            "waiting": list(self.waiting),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Reprice:
    """Another version (the newest unless given) of the plan that an object is on, from the local day `on`."""

    on: date | None = None
    version: int | None = None
    subscription: str | None = None


def change_price(session: Session, reference: str, told: Reprice, said: Said) -> ObjectInfo:
    """Give one object another version of its plan; its subscription keeps the one it has for others.

    Raises NotFound, Refused, Conflict when it has that version already, or Invalid.
    """
    row, status = commanded(session, reference, "change_price")
    found = [line for line in live_lines(session, row.id) if told.subscription in {None, line.last.subscription}]
    if len(found) != 1:
        names = tuple(line.last.subscription for line in found)
        what = (
            f"is on several subscriptions; say which: {', '.join(names)}"
            if found
            else "is not on that subscription now"
        )
        raise Invalid(f"object {reference} {what}", allowed=names)
    (line,) = found
    version = _version(session, subscribed.plan_of(session, line.last.plan_version_id), told.version)
    on = told.on or local_day(said.now, line.last.timezone)
    reason = _stays(line, line.last.subscription_id, version, on)
    if reason is not None:
        raise Conflict(f"object {reference} {reason}")
    (taken,) = subscribed.by_id(session, [line.last.subscription_id])
    on = max(on, _begins(line))
    item = succeed(session, [line], _target(session, taken, version, on))[row.id]
    before = subscribed.number_of(session, line.last.plan_version_id)
    detail = {"on": on.isoformat(), "from_version": before, "to_version": version.version}
    return record(session, row, status, "price_changed", said, item=item, detail=detail)


def migrate(
    session: Session,
    plan: str,
    said: Said,
    *,
    version: int | None = None,
    on: date | None = None,
    contracts: Collection[str] | None = None,
    only: Items = "all",
) -> Migration:
    """Give the subscriptions to a plan, of all contracts or some, another version of it (the newest unless given).

    Objects on them go on with it from the local day `on` (the present one unless given); with `only` new they stay
    as they are, and those activated from now on take it. Told again, it does what is left to do. Raises NotFound, or
    Invalid for a day together with new objects only.
    """
    if only == "new" and on is not None:
        raise Invalid("new objects take the price from now on; leave out the day, or choose all objects")
    declared.take_turns(session, "catalogue")
    wanted = _version(session, plan, version)
    taken = subscribed.to_plan(session, plan, contracts)
    if contracts is not None and (unknown := sorted(set(contracts) - {it.contract for it in taken})):
        raise NotFound(f"contract {unknown[0]!r} has no subscription to {plan!r}")
    moved, left, waiting, switched = 0, [], [], []
    for each in taken:
        today = local_day(said.now, each.timezone)
        day = on or today
        if only == "all":
            # What was planned for later is superseded, as it is for the objects that are there.
            subscribed.drop_planned(session, each.id, day)
        if day > today:
            subscribed.plan_version(session, each.id, declared.key(wanted.id), day)
            waiting.append(each.contract)
        elif each.plan_version_id != wanted.id:
            switched.append(each.id)
        if only == "all":
            done, stay = _move_all(session, each, wanted, day, said)
            moved += done
            left += stay
    subscribed.take_version(session, switched, declared.key(wanted.id))
    return Migration(
        plan=plan,
        version=wanted.version,
        moved=moved,
        subscriptions=len(switched),
        left=tuple(left),
        waiting=tuple(sorted(set(waiting))),
    )


def take_planned(session: Session, said: Said) -> list[str]:
    """Have subscriptions take the versions whose day has come, with the objects activated meanwhile.

    Terms that were over by then end or renew before, so that whoever looks late finds who was there on the day; look
    for later ends of terms after this. Call it as often as you like: a version is taken once. What cannot be taken is
    left, and told in a sentence.
    """
    through = said.now.date() + DAY
    if not subscribed.planned(session, through):
        return []
    declared.take_turns(session, "catalogue")
    problems = []
    for row in subscribed.planned(session, through):
        (each,) = subscribed.by_id(session, [row.subscription_id])
        if row.starts_on > local_day(said.now, each.timezone):
            continue
        day = local_midnight(row.starts_on, ZoneInfo(each.timezone))
        while end_terms(session, day, topic_devices=said.topic_devices):
            pass
        version = subscribed.version(session, row.plan_version_id)
        inside = session.begin_nested()
        try:
            subscribed.take_version(session, [each.id], row.plan_version_id)
            _move_all(session, each, version, row.starts_on, said)
            subscribed.forget_planned(session, row)
        except BillingError as error:
            inside.rollback()
            problems.append(f"the price planned for {each.name} of {each.contract} is not taken: {error.message}")
        else:
            inside.commit()
    return problems


def _version(session: Session, plan: str, number: int | None) -> PlanVersion:
    versions = subscribed.versions(session, plan)
    if not versions:
        raise NotFound(f"plan {plan!r} is not declared; apply it in a catalogue file first")
    if number is None:
        return versions[-1]
    found = next((row for row in versions if row.version == number), None)
    if found is None:
        raise NotFound(f"plan {plan!r} has the versions 1 to {versions[-1].version}, not {number}")
    return found


def _move_all(
    session: Session, taken: Subscribed, version: PlanVersion, on: date, said: Said
) -> tuple[int, list[Left]]:
    """Move every object on a subscription whose line still runs; those that cannot be are told."""
    object_ids = items.objects_on(session, taken.id, on)
    rows = {row.id: row for row in registry.find_by_id(session, set(object_ids), lock=True).values()}
    by_day: dict[date, list[Line]] = {}
    left = []
    for object_id, found in lines(session, object_ids).items():
        for line in found:
            if not line.live or line.last.subscription_id != taken.id:
                continue
            reason = _stays(line, taken.id, version, on)
            if reason is None:
                by_day.setdefault(max(on, _begins(line)), []).append(line)
            elif line.last.plan_version_id != version.id:
                left.append(Left(reference=rows[object_id].reference, contract=taken.contract, reason=reason))
    moved = 0
    for day, group in sorted(by_day.items()):
        successors = succeed(session, group, _target(session, taken, version, day))
        _tell(session, successors, group, version, day, said)
        moved += len(group)
    return moved, left


def _begins(line: Line) -> date:
    """Since when a line is on the subscription that it is on now."""
    begins = line.last.starts_on
    for item in reversed(line.items):
        if item.subscription_id != line.last.subscription_id:
            break
        begins = item.starts_on
    return begins


def _stays(line: Line, subscription_id: int, version: PlanVersion, on: date) -> str | None:
    """Why a line does not get the version from that day on; None when it does."""
    from_then = [item for item in line.items if item.ends_on > on and item.subscription_id == subscription_id]
    if from_then and all(item.plan_version_id == version.id for item in from_then):
        return f"has version {version.version} of the plan from then on already"
    if on >= line.last.ends_on:
        return f"ends its service on {line.last.ends_on - DAY}, before {on}"
    return None


def _target(session: Session, taken: Subscribed, version: PlanVersion, on: date) -> Target:
    contract = declared.contracts_by_id(session, [taken.contract_id])[taken.contract_id]
    subscription = declared.subscriptions(session, [taken.contract_id])[taken.contract_id, taken.name]
    return Target(on=on, contract=contract, subscription=subscription, plan_version_id=declared.key(version.id))


def _tell(
    session: Session,
    successors: dict[int, items.ItemRow],
    group: Sequence[Line],
    version: PlanVersion,
    on: date,
    said: Said,
) -> None:
    """An event for each object, and its retained state."""
    rows = registry.find_by_id(session, set(successors))
    before = {line.last.object_id: line.last.plan_version_id for line in group}
    numbers = {version_id: subscribed.number_of(session, version_id) for version_id in set(before.values())}
    registry.add_events(
        session,
        [
            event_row(
                "price_changed",
                object_id=object_id,
                now=said.now,
                origin=said.origin,
                key=said.key or f"{item.id}",
                detail={
                    "on": on.isoformat(),
                    "from_version": numbers[before[object_id]],
                    "to_version": version.version,
                },
            )
            for object_id, item in successors.items()
        ],
    )
    infos = [
        ObjectInfo(reference=rows[object_id].reference, status=rows[object_id].status, contract_item=shown(item))
        for object_id, item in successors.items()
    ]
    publish_states(session, infos, said.now, said.topic_devices)
