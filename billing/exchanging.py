"""The exchange of the hardware behind an object: a register ends at its last reading, and another one goes on.

The law: what is consumed over an exchange is what the old register rose to its end and the new one from its
beginning, to the digit; also when it is told after readings of the new one have come, and after months were invoiced.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlmodel import Session

from billing.activation import ObjectInfo
from billing.core.errors import Conflict, Invalid, NotFound
from billing.core.money import exact_text
from billing.core.quantity import scale, unscale
from billing.keeping import replaced_values
from billing.recording import Said
from billing.timeline import event_row, known_object
from storage import catalogue as declared
from storage import exchanges, registry, reversals, usage
from storage.exchanges import Epoch
from storage.markers import Marked
from storage.types import from_micros, to_micros
from storage.usage import MetricRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What was exchanged, and when (now unless given).

    Of a register (`metric`): the old one's last reading, the last that came unless given; the new one's first, its
    next reading unless given. With `correct` an exchange at that instant, told wrongly, gets these readings.
    """

    at: datetime | None = None
    metric: str | None = None
    final: Decimal | None = None
    initial: Decimal | None = None
    note: str | None = None
    correct: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeInfo(ObjectInfo):
    """The object and its exchange."""

    exchange: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {"reference": self.reference, "status": self.status, **self.exchange}

    def told(self) -> str:
        it = self.exchange
        if it["metric"] is None:
            return f"the hardware of {self.reference} was exchanged at {it['at']}"
        begins = "its next reading" if it["initial"] is None else it["initial"]
        return f"{it['metric']} of {self.reference} ended at {it['final']} and goes on from {begins}"


def exchange(session: Session, reference: str, told: Exchange, said: Said) -> ExchangeInfo:
    """Take note of an exchange; periods that were charged with the readings around it are valued again.

    The same command again changes nothing. Raises NotFound, Conflict when another exchange stands at that instant,
    or Invalid for readings that do not fit those around them.
    """
    row = known_object(registry.find(session, [reference], lock=True), reference)
    at = told.at or said.now
    if at > said.now:
        raise Invalid(f"{at.isoformat()} is to come; tell an exchange when it is done")
    if told.metric is None and (told.final is not None or told.initial is not None):
        raise Invalid("readings are of a register; name its metric")
    detail: dict[str, Any] = {"at": at.isoformat(), "metric": told.metric, "final": None, "initial": None}
    if told.note is not None:
        detail["note"] = told.note
    changed = True
    if told.metric is not None:
        metric = _register(session, told.metric)
        epoch = _epoch(session, row.id, metric, told, to_micros(at))
        detail |= {
            name: None if value is None else exact_text(unscale(value, metric.decimals))
            for name, value in (("final", epoch.final), ("initial", epoch.initial))
        }
        with replaced_values(session, object_id=row.id, metric_id=metric.id):
            changed = _write(session, row.id, metric, epoch, told)
    if changed:
        key = said.key or f"{told.metric or ''}@{to_micros(at)}"
        if registry.event_count(session, row.id, "exchanged", said.now) and not said.key:
            key = f"{key}#{registry.event_count(session, row.id, 'exchanged', said.now)}"
        event = event_row("exchanged", object_id=row.id, now=said.now, origin=said.origin, key=key, detail=detail)
        registry.add_events(session, [event])
    return ExchangeInfo(reference=reference, status=row.status, exchange=detail)


def begins(session: Session, marked: Marked, now: datetime, origin: str) -> None:
    """Take note that an object's messages say that another register begins; what was charged since is valued again."""
    contracts = reversals.forget_boundaries(
        session, object_id=marked.object_id, metric_id=marked.metric_id, after=marked.at - 1
    )
    declared.raise_revisions(session, contracts)
    metric = next(name for name, row in usage.metrics(session).items() if row.id == marked.metric_id)
    at = from_micros(marked.at).isoformat()
    detail = {"metric": metric, "at": at, "marker": marked.marker}
    key = f"{metric}={marked.marker}@{marked.at}"
    event = event_row("exchanged", object_id=marked.object_id, now=now, origin=origin, key=key, detail=detail)
    registry.add_events(session, [event])


def _register(session: Session, name: str) -> MetricRow:
    metric = usage.metrics(session).get(name)
    if metric is None:
        raise NotFound(f"metric {name!r} is not declared")
    if metric.kind != "cumulative":
        raise Invalid(f"{name} is a {metric.kind}: only a register (cumulative) has a last reading")
    return metric


def _epoch(session: Session, object_id: int, metric: MetricRow, told: Exchange, at: int) -> Epoch:
    """The exchange with its readings, checked against those that are stored around it."""
    around = [it for it in exchanges.epochs(session, object_id).get((object_id, metric.id), []) if it.starts_at != at]
    before = next((it for it in reversed(around) if it.starts_at < at), None)
    after = next((it for it in around if it.starts_at > at), None)

    def scaled(value: Decimal | None) -> int | None:
        return None if value is None else scale(value, metric.decimals, metric.excess_digits)

    def shown(value: int) -> str:
        return exact_text(unscale(value, metric.decimals))

    start = 0 if before is None else before.starts_at
    top = exchanges.top_reading(session, object_id, metric.id, start=start, end=at)
    begun = None if before is None else before.initial
    stood = max((value for value in (top, begun) if value is not None), default=None)
    final, initial = scaled(told.final), scaled(told.initial)
    if final is None:
        if stood is None:
            raise Invalid("no reading of the old register is stored; give its last one")
        final = stood
    if stood is not None and final < stood:
        raise Invalid(
            f"the old register stood at {shown(stood)} before; its last reading cannot be {shown(final)}. "
            "Take a wrong reading back first (`metergate usage reverse`)"
        )
    end = None if after is None else after.starts_at
    first = exchanges.first_reading(session, object_id, metric.id, start=at, end=end)
    if initial is None and after is not None:
        initial = after.final if first is None else first
    if initial is not None:
        for value in (first, None if after is None else after.final):
            if value is not None and value < initial:
                raise Invalid(
                    f"the new register stood at {shown(value)} later; it cannot have begun at {shown(initial)}"
                )
    return Epoch(at, final, initial)


def _write(session: Session, object_id: int, metric: MetricRow, epoch: Epoch, told: Exchange) -> bool:
    """Write an exchange; False when it stands already as it is told."""
    place = {"object_id": object_id, "metric_id": metric.id}
    stands = exchanges.stored(session, **place, at=from_micros(epoch.starts_at))
    if stands == epoch:
        return False
    if stands is not None and not told.correct:
        raise Conflict(
            f"another exchange of {told.metric} is told for {from_micros(epoch.starts_at).isoformat()}; say `correct` "
            "to give it these readings"
        )
    if stands is None and told.correct:
        raise NotFound(f"no exchange of {told.metric} is told for {from_micros(epoch.starts_at).isoformat()}")
    if stands is None:
        exchanges.add(session, **place, epoch=epoch)
        _settle_before(session, object_id, metric, epoch)
    else:
        exchanges.correct(session, **place, epoch=epoch)
    contracts = reversals.forget_boundaries(session, **place, after=epoch.starts_at - 1)
    declared.raise_revisions(session, contracts)
    return True


def _settle_before(session: Session, object_id: int, metric: MetricRow, epoch: Epoch) -> None:
    """The beginning of the register before, where it was not said: its first reading, or its end if there is none."""
    before = [it for it in exchanges.epochs(session, object_id)[object_id, metric.id] if it.starts_at < epoch.starts_at]
    if not before:
        return
    last = before[-1]
    first = exchanges.first_reading(session, object_id, metric.id, start=last.starts_at, end=epoch.starts_at)
    stands = exchanges.stored(session, object_id=object_id, metric_id=metric.id, at=from_micros(last.starts_at))
    if stands is not None and stands.initial is None:
        settled = last._replace(initial=epoch.final if first is None else first)
        exchanges.correct(session, object_id=object_id, metric_id=metric.id, epoch=settled)
