"""The registry: connected objects are created, one or ten thousand with the same few statements.

The law: a row that is wrong is refused with its reason and is not written; the others are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from sqlmodel import Session

from billing.activation import (
    TERM_MONTHS,
    Activation,
    ObjectInfo,
    Outcome,
    activate,
    term_for,
)
from billing.core.errors import BillingError, Conflict, Invalid
from billing.core.lifecycle import check_reference
from billing.owners import Names, Owners
from billing.timeline import COMMAND_EXPIRY_SECONDS, event_row
from storage import registry
from storage.types import canonical_json

ATTRIBUTES_LIMIT_BYTES = 8192
"""Attributes name a site or a serial number; more is data of another kind."""
KIND_LIMIT = 64
IMPORT_LIMIT = 2_000
"""Objects of one import: they share a transaction, which is short enough for the gateway to write in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewObject:
    """An object to create; customer, contract and subscription by name, each known or not."""

    reference: str
    kind: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    customer: str | None = None
    contract: str | None = None
    subscription: str | None = None
    activate: bool = False
    """Activate it in the same request; contract and subscription must be known then."""
    starts_on: date | None = None
    term_months: int = TERM_MONTHS
    renewal: str | None = None
    notice_days: int | None = None


def create_objects(
    session: Session,
    new: Sequence[NewObject],
    status: Literal["draft", "pending"],
    now: datetime,
    origin: str,
    key: str = "",
    *,
    topic_devices: str = "devices",
    command_expiry_seconds: int = COMMAND_EXPIRY_SECONDS,
) -> list[Outcome]:
    """Create objects, and activate those that ask for it; one outcome for each, in their order.

    An outcome is the object, or the error that kept it from being written: Invalid, NotFound or Conflict.
    """
    taken = registry.taken(session, {entry.reference for entry in new})
    names = Names(
        session,
        customers={entry.customer for entry in new},
        contracts={entry.contract for entry in new},
    )
    outcomes: list[Outcome] = []
    good: dict[str, tuple[NewObject, Owners]] = {}
    for entry in new:
        try:
            owners = _checked(entry, names, now)
            if entry.reference in taken or entry.reference in good:
                raise Conflict(f"object {entry.reference} is already registered; choose another reference")
        except BillingError as error:
            outcomes.append(error)
            continue
        good[entry.reference] = (entry, owners)
        outcomes.append(ObjectInfo(reference=entry.reference, status=status))
    ids = registry.add_objects(
        session,
        [
            {
                "reference": entry.reference,
                "kind": entry.kind,
                "status": status,
                "attributes": dict(entry.attributes),
                **owners.ids(),
                "created_at": now,
            }
            for entry, owners in good.values()
        ],
    )
    events = [event_row("created", object_id=each, now=now, origin=origin, key=key) for each in ids.values()]
    registry.add_events(session, events)
    requests = [
        Activation(
            reference=entry.reference,
            starts_on=entry.starts_on,
            term_months=entry.term_months,
            renewal=entry.renewal,
            notice_days=entry.notice_days,
        )
        for entry, _ in good.values()
        if entry.activate
    ]
    activated_now: list[Outcome] = []
    if requests:
        activated_now = activate(
            session,
            requests,
            now,
            origin,
            key,
            topic_devices=topic_devices,
            command_expiry_seconds=command_expiry_seconds,
        )
    activated = {
        request.reference: outcome
        for request, outcome in zip(
            requests,
            activated_now,
            strict=True,
        )
    }
    return [
        activated.get(outcome.reference, outcome) if isinstance(outcome, ObjectInfo) else outcome
        for outcome in outcomes
    ]


def _checked(entry: NewObject, names: Names, now: datetime) -> Owners:
    check_reference(entry.reference)
    if len(entry.kind) > KIND_LIMIT or (entry.kind and not entry.kind.isprintable()):
        raise Invalid(f"kind {entry.kind[:KIND_LIMIT]!r} is not a word of up to {KIND_LIMIT} printable characters")
    if len(canonical_json(dict(entry.attributes)).encode("utf-8", "replace")) > ATTRIBUTES_LIMIT_BYTES:
        raise Invalid(f"attributes are at most {ATTRIBUTES_LIMIT_BYTES} bytes of JSON; shorten them")
    owners = names.owners(customer=entry.customer, contract=entry.contract, subscription=entry.subscription)
    if entry.activate:
        term_for(
            owners,
            starts_on=entry.starts_on,
            term_months=entry.term_months,
            reference=entry.reference,
            now=now,
            renewal=entry.renewal,
            notice_days=entry.notice_days,
        )
    return owners
