"""The activation of connected objects: for each a contract item, named like it, with the schedules of its term.

The law: one object or ten thousand take the same few statements, and what cannot be activated is not touched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from sqlmodel import Session

from billing.core.errors import BillingError, Conflict, Invalid
from billing.core.lifecycle import ObjectStatus, check_activation
from billing.core.periods import DAY, add_months, local_midnight
from billing.owners import Names, Owners
from billing.planning import Planned, write_schedules
from billing.pooling import plan_pools
from billing.telling import (
    NOTHING,
    Starts,
    Told,
    ask_to_activate,
    check_may_wait,
    tell_activated,
    told_by,
    waiting,
)
from billing.timeline import COMMAND_EXPIRY_SECONDS, Said, event_row, free_key, known_object
from storage import catalogue as declared
from storage import items, outbox, registry
from storage.tables import RENEWALS, Contract, Subscription

TERM_MONTHS = 12
TERM_MONTHS_LIMIT = 120
"""The longest term, in months: its schedules are written at the activation."""
NOTICE_DAYS_LIMIT = 366
LAST_YEAR = 2200
"""A later start is a mistake in a date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """A request to activate one object; names that are not given are those that the object has."""

    reference: str
    customer: str | None = None
    contract: str | None = None
    subscription: str | None = None
    starts_on: date | None = None
    """The first local day of service; the present one in the contract's zone unless given."""
    term_months: int = TERM_MONTHS
    renewal: str | None = None
    """`none` or `automatic`; the contract's word unless given."""
    notice_days: int | None = None
    """Days before the end of the term by which notice has to be given; the contract's unless given."""
    starts: Starts | None = None
    """At once, or when the object has acknowledged; as the plan says unless given."""
    acknowledged: bool = False
    """It is the object's own answer that brings it about: the object is not told again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """An object after a command: its status, and the contract item that the command made or touched, if any."""

    reference: str
    status: str
    contract_item: Mapping[str, Any] | None = None
    awaits_answer: bool = False
    """Whether its service starts when it acknowledges the command that it was sent."""

    def as_json(self) -> dict[str, Any]:
        """The form of replies and of the retained state; the last day of service is inclusive."""
        item = None if self.contract_item is None else dict(self.contract_item)
        waits = {"awaits_answer": True} if self.awaits_answer else {}
        return {"reference": self.reference, "status": self.status, "contract_item": item, **waits}

    def told(self) -> str:
        """For a person, in one line."""
        return f"{self.reference} is {self.status}{' until it acknowledges' if self.awaits_answer else ''}"


Outcome: TypeAlias = ObjectInfo | BillingError


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """The days and the place of a contract item to come."""

    contract: Contract
    subscription: Subscription
    starts_on: date
    ends_on: date
    term_months: int
    renewal: str
    notice_days: int


def term_for(
    owners: Owners,
    *,
    starts_on: date | None,
    term_months: int,
    reference: str,
    now: datetime,
    renewal: str | None = None,
    notice_days: int | None = None,
) -> Term:
    """The term that an activation asks for. Raises Invalid when something is missing or out of bounds."""
    if owners.contract is None or owners.subscription is None:
        missing = "contract and subscription" if owners.contract is None else "subscription"
        raise Invalid(f"object {reference} has no {missing} yet; name the {missing} in the activation")
    if not 1 <= term_months <= TERM_MONTHS_LIMIT:
        raise Invalid(f"a term has 1 to {TERM_MONTHS_LIMIT} months, got {term_months}")
    renewal = renewal or owners.contract.renewal
    notice_days = owners.contract.notice_days if notice_days is None else notice_days
    if renewal not in RENEWALS:
        raise Invalid(f"renewal is {renewal!r}; it should be {' or '.join(RENEWALS)}")
    if not 0 <= notice_days <= NOTICE_DAYS_LIMIT:
        raise Invalid(f"notice is given 0 to {NOTICE_DAYS_LIMIT} days before the end of a term, got {notice_days}")
    day = starts_on or local_day(now, owners.contract.timezone)
    if day.year > LAST_YEAR:
        raise Invalid(f"an item starts by {LAST_YEAR}, got {day}; correct the year")
    if day < owners.contract.starts_on:
        raise Invalid(
            f"contract {owners.contract.name!r} starts on {owners.contract.starts_on}, so an item cannot start on {day}"
        )
    return Term(
        contract=owners.contract,
        subscription=owners.subscription,
        starts_on=day,
        ends_on=add_months(day, term_months),
        term_months=term_months,
        renewal=renewal,
        notice_days=notice_days,
    )


def local_day(now: datetime, timezone: str) -> date:
    """The local day of an instant."""
    return now.astimezone(ZoneInfo(timezone)).date()


def activate(
    session: Session,
    requests: Sequence[Activation],
    now: datetime,
    origin: str,
    key: str = "",
    *,
    topic_devices: str = "devices",
    command_expiry_seconds: int = COMMAND_EXPIRY_SECONDS,
) -> list[Outcome]:
    """Activate objects: for each a contract item named like it, with the schedules of its whole term at 0.

    One or ten thousand take the same few statements. A draft is confirmed first, with both events. An active object may
    take a further subscription: what it is on goes on, and it stays whose it is. What cannot be activated gives its
    error in its place, and the others are activated.
    """
    found = registry.find(session, {request.reference for request in requests}, lock=True)
    names = Names(
        session,
        customers={request.customer for request in requests},
        contracts={request.contract for request in requests},
        contract_ids={row.contract_id for row in found.values()},
    )
    taken: dict[int, list[items.ItemRow]] = {}
    for item in items.of_objects(session, [row.id for row in found.values()]):
        taken.setdefault(item.object_id, []).append(item)
    outcomes: list[Outcome] = []
    plans = told_by(session, {taken.plan_version_id for taken in names.subscriptions_by_id.values()})
    open_ones = waiting(session, [row.id for row in found.values()]) if _any_waits(requests, plans) else {}
    granted: dict[int, tuple[registry.ObjectRow, Owners, Term]] = {}
    waits: dict[int, tuple[registry.ObjectRow, Owners, Term]] = {}
    tell: dict[int, Told] = {}
    for request in requests:
        try:
            row = known_object(found, request.reference)
            if row.id in granted or row.id in waits:
                raise Conflict(f"object {request.reference} stands twice in the request; keep one")
            present = taken.get(row.id, [])
            check_activation(ObjectStatus(row.status), further=_is_further(request, present))
            owners = names.owners(
                customer=request.customer,
                contract=request.contract,
                subscription=request.subscription,
                present=row,
            )
            term = term_for(
                owners,
                starts_on=request.starts_on,
                term_months=request.term_months,
                reference=request.reference,
                now=now,
                renewal=request.renewal,
                notice_days=request.notice_days,
            )
            _refuse_overlap(term, present)
            told = plans.get(term.subscription.plan_version_id, NOTHING)
            is_to_wait = (request.starts or told.starts) == "on_acknowledgement"
            if is_to_wait:
                check_activation(ObjectStatus(row.status), further=False)
                check_may_wait(row.reference, starts_on=request.starts_on, waiting=open_ones.get(row.id))
        except BillingError as error:
            outcomes.append(error)
            continue
        if is_to_wait:
            waits[row.id] = (row, owners, term)
            outcomes.append(ObjectInfo(reference=row.reference, status=ObjectStatus.PENDING.value, awaits_answer=True))
        else:
            granted[row.id] = (row, owners, term)
            outcomes.append(_activated(row, term))
        tell[row.id] = NOTHING if request.acknowledged else told
    said = Said(
        now=now, origin=origin, key=key, topic_devices=topic_devices, command_expiry_seconds=command_expiry_seconds
    )
    _write_activations(session, granted, now=now, origin=origin, key=key)
    tell_activated(session, [(row, tell[row.id]) for row, _, _ in granted.values()], said)
    _write_waiting(session, waits, tell, said)
    publish_states(session, [each for each in outcomes if isinstance(each, ObjectInfo)], now, topic_devices)
    return outcomes


def _activated(row: registry.ObjectRow, term: Term) -> ObjectInfo:
    return ObjectInfo(
        reference=row.reference,
        status=ObjectStatus.ACTIVE.value,
        contract_item=item_json(
            name=row.reference,
            contract=term.contract.name,
            subscription=term.subscription.name,
            starts_on=term.starts_on,
            ends_on=term.ends_on,
        ),
    )


def item_json(*, name: str, contract: str, subscription: str, starts_on: date, ends_on: date) -> dict[str, Any]:
    return {
        "name": name,
        "contract": contract,
        "subscription": subscription,
        "starts_on": starts_on.isoformat(),
        "last_day": (ends_on - DAY).isoformat(),
    }


def _is_further(request: Activation, present: Sequence[items.ItemRow]) -> bool:
    """Whether it asks for a subscription beside those that go on. They are named as in the object's own contract."""
    return request.subscription is not None and all(
        request.subscription != item.subscription or request.contract not in {None, item.contract}
        for item in present
        if item.status == "running"
    )


def _refuse_overlap(term: Term, present: Sequence[items.ItemRow]) -> None:
    for item in present:
        same = item.subscription_id == term.subscription.id
        if same and item.starts_on < term.ends_on and term.starts_on < item.ends_on:
            raise Conflict(
                f"object {item.name} is already on {item.subscription!r} from {item.starts_on} to "
                f"{item.ends_on - DAY}; start on {item.ends_on} or later"
            )


def _write_activations(
    session: Session,
    granted: Mapping[int, tuple[registry.ObjectRow, Owners, Term]],
    *,
    now: datetime,
    origin: str,
    key: str,
) -> None:
    if not granted:
        return
    midnight = cache(lambda day, timezone: local_midnight(day, ZoneInfo(timezone)))
    item_rows = [
        {
            "name": row.reference,
            "contract_id": term.contract.id,
            "subscription_id": term.subscription.id,
            "object_id": object_id,
            "plan_version_id": term.subscription.plan_version_id,
            "status": "running",
            "term_months": term.term_months,
            "starts_on": term.starts_on,
            "ends_on": term.ends_on,
            "start_at": midnight(term.starts_on, term.contract.timezone),
            "end_at": midnight(term.ends_on, term.contract.timezone),
            "renewal": term.renewal,
            "notice_days": term.notice_days,
        }
        for object_id, (row, _, term) in granted.items()
    ]
    item_ids = items.add_items(session, item_rows)
    write_schedules(
        session,
        {
            item_ids[object_id]: Planned(
                object_id=object_id,
                contract_id=declared.key(term.contract.id),
                subscription_id=declared.key(term.subscription.id),
                plan_version_id=term.subscription.plan_version_id,
                timezone=term.contract.timezone,
                starts_on=term.starts_on,
                ends_on=term.ends_on,
            )
            for object_id, (_, _, term) in granted.items()
        },
    )
    events: list[dict[str, Any]] = []
    for object_id, (row, _, term) in granted.items():
        base: dict[str, Any] = {"object_id": object_id, "now": now, "origin": origin, "key": key}
        if row.status == ObjectStatus.DRAFT:
            events.append(event_row("confirmed", **base))
        kind = "activated"
        if row.status == ObjectStatus.ACTIVE:
            # Not an activation of the object: a fee per activation is not owed again.
            kind = "subscription_added"
            base["key"] = free_key(session, object_id, kind, now, key)
        detail = _activated(row, term).contract_item
        events.append(event_row(kind, **base, detail={"contract_item": detail}))
    new = {object_id: each for object_id, each in granted.items() if each[0].status != ObjectStatus.ACTIVE}
    _give(session, new, ObjectStatus.ACTIVE)
    registry.add_events(session, events)
    since: dict[int, date] = {}
    for _, _, term in granted.values():
        contract_id = declared.key(term.contract.id)
        since[contract_id] = min(term.starts_on, since.get(contract_id, term.starts_on))
    declared.raise_revisions(session, since)
    plan_pools(session, since)


def _write_waiting(
    session: Session,
    waits: Mapping[int, tuple[registry.ObjectRow, Owners, Term]],
    tell: Mapping[int, Told],
    said: Said,
) -> None:
    """Tell objects to begin, and keep what is to be done once they have; they are whose they will be, and pending."""
    if not waits:
        return
    _give(session, waits, ObjectStatus.PENDING)
    drafts = [row for row, _, _ in waits.values() if row.status == ObjectStatus.DRAFT]
    base: dict[str, Any] = {"now": said.now, "origin": said.origin, "key": said.key}
    registry.add_events(session, [event_row("confirmed", object_id=row.id, **base) for row in drafts])
    ask_to_activate(
        session,
        [
            (
                row,
                tell[object_id],
                {
                    "contract": term.contract.name,
                    "subscription": term.subscription.name,
                    "term_months": term.term_months,
                    "renewal": term.renewal,
                    "notice_days": term.notice_days,
                },
            )
            for object_id, (row, _, term) in waits.items()
        ],
        said,
    )


def _give(
    session: Session, entries: Mapping[int, tuple[registry.ObjectRow, Owners, Term]], status: ObjectStatus
) -> None:
    """Write the status of objects, and whose they are."""
    groups: dict[tuple[int, int, int], list[int]] = {}
    for object_id, (_, owners, _) in entries.items():
        ids = {name: declared.key(value) for name, value in owners.ids().items()}
        groups.setdefault((ids["customer_id"], ids["contract_id"], ids["subscription_id"]), []).append(object_id)
    for (customer_id, contract_id, subscription_id), object_ids in groups.items():
        registry.set_status(
            session,
            object_ids,
            status.value,
            customer_id=customer_id,
            contract_id=contract_id,
            subscription_id=subscription_id,
        )


def _any_waits(requests: Sequence[Activation], plans: Mapping[int, Told]) -> bool:
    asked = any(request.starts == "on_acknowledgement" for request in requests)
    return asked or any(told.starts == "on_acknowledgement" for told in plans.values())


def publish_states(session: Session, infos: Sequence[ObjectInfo], now: datetime, topic_devices: str) -> None:
    """The retained state of each object, for the object itself."""
    messages = [(f"{topic_devices}/{info.reference}/state", info.as_json()) for info in infos]
    outbox.put_many(session, messages, now=now, retain=True)
