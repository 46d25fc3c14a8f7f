"""The values of registers at the ends of periods: told, and replaced on purpose by better ones.

The law: a value is kept for good unless a person replaces it; then both periods beside it are valued again, so what
they add up to stays what it was.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, cast

from sqlmodel import Session

from billing.activation import ObjectInfo
from billing.closing.walking import Known, boundary_rule, registry_of, walk_registers
from billing.core.boundaries import Value, value_at
from billing.core.errors import Invalid, NotFound
from billing.core.money import exact_text
from billing.core.quantity import Excess, scale, unscale
from billing.core.registers import Probe
from billing.readings import register_named
from billing.timeline import Said, event_row, known_object
from storage import catalogue as declared
from storage import registers, registry, reversals, walking
from storage.registers import StoredBoundary
from storage.tables import Metric
from storage.types import DAY_MICROS, from_micros

FURTHEST_ZONE = timedelta(hours=14)
"""The midnight of a day is so near to that of UTC, in every zone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """A value that is kept, in the metric's unit; counted on through exchanges and full turns."""

    metric: str
    at: datetime
    value: Fraction
    unit: str
    quality: str

    def as_json(self) -> dict[str, Any]:
        return {
            "metric": self.metric,
            "at": self.at,
            "value": self.value,
            "unit": self.unit,
            "quality": self.quality,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """The value at the midnight with which `on` begins; without `value` the best that the readings give now."""

    metric: str
    on: date
    value: Decimal | None = None
    """What the register itself stood at, as it is read."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplacementInfo(ObjectInfo):
    """The object, and the value before and after."""

    boundary: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {"reference": self.reference, "status": self.status, **self.boundary}

    def told(self) -> str:
        it = self.boundary
        return (
            f"{it['metric']} of {self.reference} at {it['at']}: {it['before']} becomes {it['value']} ({it['quality']})"
        )


def boundaries(session: Session, reference: str, metric: str | None = None) -> list[Boundary]:
    """The values of an object's registers that are kept, by metric in order of time. Raises NotFound or Invalid."""
    row = known_object(registry.find(session, [reference]), reference)
    known = registry_of(session)
    rows = [it for it in known.metrics.values() if it.kind == "cumulative"]
    if metric is not None:
        rows = [register_named(known, metric)]
    return [
        Boundary(
            metric=it.name,
            at=from_micros(each.at),
            value=unscale(each.quantity, it.decimals),
            unit=it.unit,
            quality=each.quality,
        )
        for it in sorted(rows, key=lambda it: it.name)
        for each in registers.boundaries_of(session, row.id, declared.key(it.id))
    ]


def replace_boundary(session: Session, reference: str, told: Replacement, said: Said) -> ReplacementInfo:
    """Replace a value that is kept; the next close bills the difference that it makes to both periods beside it.

    The same command again changes nothing. Raises NotFound where no value is kept, Invalid for one that does not fit
    between those that are kept before and after it.
    """
    row = known_object(registry.find(session, [reference], lock=True), reference)
    known = registry_of(session)
    metric = register_named(known, told.metric)
    metric_id = declared.key(metric.id)
    kept = registers.boundaries_of(session, row.id, metric_id)
    place = _place(kept, reference, told)
    stands = kept[place]
    value = _value(known, metric, row.id, stands, told)
    lower, higher = kept[place - 1 : place] if place else [], kept[place + 1 : place + 2]
    wrong = [it for it in lower if it.quantity > value.quantity] + [it for it in higher if it.quantity < value.quantity]
    for neighbour in wrong:
        raise Invalid(
            f"{_shown(metric, value.quantity)} does not fit: at {from_micros(neighbour.at).isoformat()} "
            f"{_shown(metric, neighbour.quantity)} is kept; replace that first if it is wrong"
        )
    detail = {
        "metric": metric.name,
        "at": from_micros(stands.at).isoformat(),
        "before": _shown(metric, stands.quantity),
        "value": _shown(metric, value.quantity),
        "quality": value.quality,
    }
    detail |= {"reason": told.reason} if told.reason else {}
    if value != (stands.quantity, stands.quality):
        contracts = reversals.replace_boundary(
            session, object_id=row.id, metric_id=metric_id, at=stands.at, **value._asdict()
        )
        declared.raise_revisions(session, contracts)
        earlier = registry.event_count(session, row.id, "boundary_replaced", said.now)
        key = said.key or f"{metric.name}@{stands.at}#{earlier}"
        event = event_row(
            "boundary_replaced", object_id=row.id, now=said.now, origin=said.origin, key=key, detail=detail
        )
        registry.add_events(session, [event])
    return ReplacementInfo(reference=reference, status=row.status, boundary=detail)


def _place(kept: list[StoredBoundary], reference: str, told: Replacement) -> int:
    midnight = datetime(told.on.year, told.on.month, told.on.day, tzinfo=UTC)
    near = [n for n, it in enumerate(kept) if abs(from_micros(it.at) - midnight) <= FURTHEST_ZONE]
    if not near:
        days = ", ".join(from_micros(it.at).isoformat() for it in kept[-3:]) or "none"
        raise NotFound(f"no value of {told.metric} of {reference} is kept at {told.on}; the last ones: {days}")
    return near[0]


def _value(known: Known, metric: Metric, object_id: int, stands: StoredBoundary, told: Replacement) -> Value:
    metric_id = declared.key(metric.id)
    around = _around(known, metric_id, object_id, stands.at)
    if told.value is not None:
        scaled = scale(told.value, metric.decimals, cast("Excess", metric.excess_digits))
        return Value(scaled + around.offset, "replaced")
    rule = boundary_rule(known, metric_id)._replace(how="interpolated")
    found = value_at(stands.at, around, rule)
    if found is None:
        raise Invalid(f"nothing of {metric.name} was read before {from_micros(stands.at).isoformat()}; give its value")
    return found


def _around(known: Known, metric_id: int, object_id: int, at: int) -> Probe:
    """The readings around an instant; what is far behind it is looked at if nothing is nearer."""
    later = walking.first_since(known.session, metric_id, day=at // DAY_MICROS + 1, object_ids={object_id})
    until = later[0].at if later else None
    return walk_registers(known, metric_id, {object_id}, (at,), until=until)[object_id].probes[at]


def _shown(metric: Metric, quantity: int) -> str:
    return exact_text(unscale(quantity, metric.decimals))
