"""Taking a usage record back: a record that names it, never an update; with another value in its place if one is known.

The law: from then on the bill is what it would be if the record had never come; what was charged for it is given back
by the next close. A record is taken back once, and its repeat by the object changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlmodel import Session

from billing.activation import ObjectInfo
from billing.archiving import require_records
from billing.core.errors import Conflict, Invalid, NotFound
from billing.core.money import exact_text
from billing.core.quantity import scale, unscale
from billing.keeping import replaced_values
from billing.recording import Said
from billing.timeline import event_row, known_object
from storage import catalogue as declared
from storage import exchanges, registry, reversals, usage
from storage.reversals import Reversal
from storage.types import to_micros

MARK = "~"
"""Between the id of a record that was taken back and the count of what stands in its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The usage record that is to be taken back, why, and the value that should have been there."""

    metric: str
    at: datetime
    identity: str | None = None
    """The sender's id; None when the record is the only one of the metric at that instant."""
    reason: str
    value: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversalInfo(ObjectInfo):
    """The object, the record that was taken back, and the one in its place."""

    usage: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {"reference": self.reference, "status": self.status, **self.usage}

    def told(self) -> str:
        record, instead = self.usage, self.usage["replaced_by"]
        stands = f"; {instead['quantity']} stands in its place" if instead else ""
        return f"{record['quantity']} {record['metric']} of {self.reference} at {record['at']} was taken back{stands}"


def reverse(session: Session, reference: str, taken: Taken, said: Said) -> ReversalInfo:
    """Take a usage record back.

    The same command again gives the same answer and changes nothing. Raises NotFound for a record that is not there,
    Conflict for one that was taken back already, Invalid when several stand at that instant, Refused when the records
    of its month are archived.
    """
    row = known_object(registry.find(session, [reference], lock=True), reference)
    metric = usage.metrics(session).get(taken.metric)
    if metric is None:
        raise NotFound(f"metric {taken.metric!r} is not declared")
    at = to_micros(taken.at)
    require_records(session, at, at + 1)
    place = {"at": at, "object_id": row.id, "metric_id": metric.id}
    quantities, before = reversals.records_at(session, **place), reversals.reversals_at(session, **place)
    scaled = None if taken.value is None else scale(taken.value, metric.decimals, metric.excess_digits)
    reversal = Reversal(taken.reason, said.origin, said.key, replacement=scaled)
    repeated = [identity for identity, earlier in before.items() if _is_repeat(earlier, reversal)]
    identity = repeated[0] if repeated and taken.identity is None else _identity(reference, taken, quantities, before)
    new_identity = None if scaled is None else _next_identity(identity, quantities)
    reversal = reversal._replace(replaced_by=new_identity)
    said_before = before.get(identity)
    if said_before is not None and not _is_repeat(said_before, reversal):
        raise Conflict(
            f"the usage record of {reference} at {taken.at.isoformat()} was taken back already "
            f"({said_before.reason}); "
            + (
                f"what stands is {said_before.replaced_by!r}"
                if said_before.replaced_by
                else "nothing stands in its place"
            )
        )
    detail = {
        "metric": taken.metric,
        "at": taken.at.isoformat(),
        "id": identity,
        "quantity": exact_text(unscale(quantities[identity], metric.decimals)),
        "reason": taken.reason,
        "replaced_by": None
        if scaled is None
        else {
            "id": new_identity if said_before is None else said_before.replaced_by,
            "quantity": exact_text(unscale(scaled, metric.decimals)),
        },
    }
    info = ReversalInfo(reference=reference, status=row.status, usage=detail)
    if said_before is not None:
        return info
    with replaced_values(session, object_id=row.id, metric_id=metric.id):
        reversals.reverse(session, (at, row.id, metric.id, identity), reversal, said.now)
        if new_identity is not None and scaled is not None:
            fact = usage.Fact(at, row.id, metric.id, new_identity, scaled, to_micros(said.now), said.origin)
            carried = reversals.property_set_of(session, (at, row.id, metric.id, identity))
            usage.record(session, [fact], {} if carried is None else {0: carried})
        if metric.kind == "cumulative":
            # Behind an exchange or a full turn, and on a line between readings, a value at a boundary is no reading:
            # all later ones are made again.
            declared_as = declared.metrics(session)[taken.metric]
            counted_on = (
                declared_as.register_width is not None
                or declared_as.boundary != "carried"
                or (row.id, metric.id) in exchanges.beginnings(session)
            )
            contracts = reversals.forget_boundaries(
                session,
                object_id=row.id,
                metric_id=metric.id,
                after=at,
                quantity=None if counted_on else quantities[identity],
            )
            declared.raise_revisions(session, contracts)
    key = said.key or f"{taken.metric}@{at}#{identity}"
    event = event_row("usage_reversed", object_id=row.id, now=said.now, origin=said.origin, key=key, detail=detail)
    registry.add_events(session, [event])
    return info


def _identity(reference: str, taken: Taken, quantities: dict[str, int], before: dict[str, Reversal]) -> str:
    where = f"{reference} has no usage record of {taken.metric} at {taken.at.isoformat()}"
    if taken.identity is not None:
        if taken.identity not in quantities:
            raise NotFound(f"{where} with the id {taken.identity!r}; `metergate usage list {reference}` shows them")
        return taken.identity
    if not quantities:
        raise NotFound(f"{where}; `metergate usage list {reference}` shows them")
    standing = [identity for identity in quantities if identity not in before] or list(quantities)
    if len(standing) > 1:
        names = ", ".join(repr(identity) for identity in standing)
        raise Invalid(f"{reference} has several usage records of {taken.metric} then; name the id of one: {names}")
    return standing[0]


def _next_identity(identity: str, quantities: dict[str, int]) -> str:
    """What the record in place of another is called: the same id with a count that is free."""
    head, mark, tail = identity.rpartition(MARK)
    stem = head if mark and tail.isascii() and tail.isdigit() else identity
    return next(name for n in range(1, len(quantities) + 2) if (name := f"{stem}{MARK}{n}") not in quantities)


def _is_repeat(before: Reversal, now: Reversal) -> bool:
    """Whether the same command is given again: by its request id, else by all that it says."""
    if now.key:
        return (before.origin, before.key) == (now.origin, now.key)
    return (before.origin, before.key, before.reason, before.replacement) == (
        now.origin,
        "",
        now.reason,
        now.replacement,
    )
