"""Readings of registers that are held for review, and what a person decides of them.

The law: what is held is found from the readings themselves, so it hangs on no order of arrival; what was decided is
written once, stands on the object's timeline, and the next close bills the difference that it makes. Whatever way in
calls `held`, `accept`, `reject` and `exchange`, they do the same.
"""

from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sqlmodel import Session

from billing import exchanging
from billing.activation import ObjectInfo
from billing.archiving import require_records
from billing.closing.walking import Known, registry_of, rules_of, walk_registers
from billing.core.errors import Invalid, NotFound
from billing.core.money import exact_text
from billing.core.quantity import unscale
from billing.core.registers import Case
from billing.keeping import replaced_values
from billing.timeline import Said, event_row, known_object
from storage import catalogue as declared
from storage import registry, reversals, walking
from storage.reversals import Reversal
from storage.tables import Metric
from storage.types import DAY_MICROS, from_micros, to_micros

LOOK_BACK_DAYS = 62
"""How far before the first open period the list looks; of a named object it looks at everything."""
REJECTED_AT_ONCE = 1000
"""Readings that one command takes back; of more, the last one is named with `until`."""
REASONS = {
    "drop": "lower than the reading before",
    "rate": "rose faster than the maximum rate",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Readings of one register that wait for a decision, in the metric's unit."""

    object_id: int
    metric_id: int
    reference: str
    metric: str
    unit: str
    state: str
    """`held`, or `proposed`: it stayed low, so it looks like an exchange."""
    kind: str
    """`drop`: lower than the reading before. `rate`: it rose faster than the metric's maximum rate."""
    readings: int
    before_at: datetime
    before: Fraction
    """The last reading that counts."""
    first_at: datetime
    first: Fraction
    last_at: datetime
    last: Fraction

    def as_json(self) -> dict[str, Any]:
        return {
            "object": self.reference,
            "metric": self.metric,
            "state": self.state,
            "reason": REASONS[self.kind],
            "readings": self.readings,
            "before_at": self.before_at,
            "before": self.before,
            "first_at": self.first_at,
            "first": self.first,
            "last_at": self.last_at,
            "last": self.last,
            "unit": self.unit,
        }


def held(session: Session, now: datetime, *, reference: str | None = None, metric: str | None = None) -> list[Held]:
    """The readings that are held, by object and metric; of all registers, or of an object, or of a metric.

    Raises NotFound for an object or a metric that is not there, Invalid for a metric that is no register.
    """
    known = registry_of(session)
    object_ids = None if reference is None else {_object(session, reference).id}
    metrics = [it for it in known.metrics.values() if it.kind == "cumulative"]
    if metric is not None:
        metrics = [register_named(known, metric)]
    found: list[Held] = []
    for row in metrics:
        ids = _candidates(known, declared.key(row.id), now, object_ids)
        cases = _open_cases(known, declared.key(row.id), ids, now)
        names = walking.references(session, cases)
        found += [_held(row, object_id, names[object_id], case) for object_id, case in cases.items()]
    return sorted(found, key=lambda it: (it.reference, it.metric))


def held_in(session: Session, contracts: Collection[int], month: tuple[date, date]) -> list[Held]:
    """What was held at the end of the periods that a close of some contracts charged in a month."""
    ends = walking.held_ends(session, contracts, month)
    if not ends:
        return []
    known, found = registry_of(session), []
    for (metric_id, at), object_ids in ends.items():
        cases = _open_cases(known, metric_id, object_ids, from_micros(at))
        names = walking.references(session, cases)
        found += [_held(known.metrics[metric_id], key, names[key], case) for key, case in cases.items()]
    return sorted(found, key=lambda it: (it.reference, it.metric))


def _candidates(known: Known, metric_id: int, now: datetime, object_ids: Collection[int] | None) -> set[int]:
    session, last = known.session, to_micros(now)
    first = 0
    if object_ids is None:
        since = walking.open_since(session, metric_id)
        since = last if since is None else min(since, last)
        first = since - LOOK_BACK_DAYS * DAY_MICROS
    ids = walking.irregular(
        session, metric_id, first_day=first // DAY_MICROS, last_day=last // DAY_MICROS + 1, object_ids=object_ids
    )
    ids |= walking.held_registers(session, metric_id)
    rate = rules_of(known, metric_id).maximum_rate
    if rate is not None:
        risen = walking.rises(session, metric_id, start=first, end=last + DAY_MICROS, maximum_rate=rate)
        ids |= {it.object_id for it in risen if it.before is not None}
    return ids if object_ids is None else ids & set(object_ids)


def _open_cases(known: Known, metric_id: int, object_ids: Collection[int], at: datetime) -> dict[int, Case]:
    walked = walk_registers(known, metric_id, object_ids, (to_micros(at),))
    return {key: it.cases[-1] for key, it in walked.items() if it.cases and it.cases[-1].open}


def _held(metric: Metric, object_id: int, reference: str, case: Case) -> Held:
    return Held(
        object_id=object_id,
        metric_id=declared.key(metric.id),
        reference=reference,
        metric=metric.name,
        unit=metric.unit,
        state=case.state,
        kind=case.kind,
        readings=case.readings,
        before_at=from_micros(case.before.at),
        before=unscale(case.before.quantity, metric.decimals),
        first_at=from_micros(case.first.at),
        first=unscale(case.first.quantity, metric.decimals),
        last_at=from_micros(case.last.at),
        last=unscale(case.last.quantity, metric.decimals),
    )


# --- decisions -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Of which register the held readings are, and what is said of them."""

    metric: str
    at: datetime | None = None
    """One of the held readings; the first unless given."""
    until: datetime | None = None
    """The last that is rejected; all up to the last one that came unless given."""
    reason: str = ""
    final: Decimal | None = None
    """Of an exchange: what the old register ended at; the last reading that counts unless given."""
    initial: Decimal | None = None
    """Of an exchange: what the new register began at; the first held reading unless given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionInfo(ObjectInfo):
    """The object, and what was decided of its readings."""

    decision: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {"reference": self.reference, "status": self.status, **self.decision}

    def told(self) -> str:
        it = self.decision
        where = f"{it['metric']} of {self.reference}"
        match it["decision"]:
            case "accept":
                return f"{it['first']} {where} at {it['at']} counts"
            case "reject":
                if it["readings"] == 1:
                    return f"a reading of {where} at {it['at']} was taken back"
                return f"{it['readings']} readings of {where} from {it['at']} to {it['until']} were taken back"
            case _:
                return f"{where} ended at {it['final']} and goes on from {it['initial']} since {it['at']}"


def accept(session: Session, reference: str, told: Decision, said: Said) -> DecisionInfo:
    """The reading counts: a rise is billed, from a lower one it is counted on. Raises NotFound or Invalid."""
    register = _locked(session, reference, told, said.now)
    at, quantity = register.reading(told.at)
    detail = register.detail("accept", at) | {"first": register.shown(quantity)}
    with register.replaced_values():
        return _decided(session, register, said, at=at, until=None, detail=detail)


def reject(session: Session, reference: str, told: Decision, said: Said) -> DecisionInfo:
    """The held readings were wrong: they are taken back and never count. Raises NotFound or Invalid.

    With `at` and no `until` only that reading is.
    """
    register = _locked(session, reference, told, said.now)
    first, _ = register.reading(told.at)
    last = to_micros(told.until) if told.until is not None else first if told.at else register.case.last.at
    require_records(session, first, last + 1)
    readings = walking.readings_of(session, register.object_id, register.metric_id, first=first, last=last)
    if len(readings) > REJECTED_AT_ONCE:
        until = from_micros(readings[REJECTED_AT_ONCE - 1][0]).isoformat()
        raise Invalid(f"{len(readings)} readings are held; reject them in parts, those until {until} first")
    reason = told.reason or "held for review and rejected"
    detail = register.detail("reject", first) | {
        "until": from_micros(last).isoformat(),
        "readings": len(readings),
    }
    with register.replaced_values():
        for at, discriminator, _ in readings:
            key = (at, register.object_id, register.metric_id, discriminator)
            reversals.reverse(session, key, Reversal(reason, said.origin, said.key), said.now)
        return _decided(session, register, said, at=first, until=last, detail=detail)


def exchange(session: Session, reference: str, told: Decision, said: Said) -> DecisionInfo:
    """With the first held reading another register began. Raises NotFound, Invalid or Conflict.

    What it counted before its first reading is billed only where `initial` says so.
    """
    register = _locked(session, reference, told, said.now)
    at, quantity = register.reading(told.at)
    decimals = register.metric.decimals
    final = told.final if told.final is not None else _decimal(register.case.before.quantity, decimals)
    initial = told.initial if told.initial is not None else _decimal(quantity, decimals)
    exchanged = exchanging.Exchange(
        at=from_micros(at), metric=told.metric, final=final, initial=initial, note=told.reason or None
    )
    detail = register.detail("exchange", at) | {"final": str(final), "initial": str(initial)}
    with register.replaced_values():
        exchanging.exchange(session, reference, exchanged, said)
        return _decided(session, register, said, at=at, until=None, detail=detail)


def _decimal(quantity: int, decimals: int) -> Decimal:
    return Decimal(exact_text(unscale(quantity, decimals)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Register:
    """A register with readings that are held, its object locked."""

    row: registry.ObjectRow
    metric: Metric
    case: Case
    told: Decision
    session: Session

    @property
    def object_id(self) -> int:
        return self.row.id

    @property
    def metric_id(self) -> int:
        return declared.key(self.metric.id)

    def replaced_values(self) -> AbstractContextManager[None]:
        """Around a decision: values that a person gave are kept where they still fit."""
        return replaced_values(self.session, object_id=self.object_id, metric_id=self.metric_id)

    def shown(self, quantity: int) -> str:
        return exact_text(unscale(quantity, self.metric.decimals))

    def reading(self, at: datetime | None) -> tuple[int, int]:
        """Instant and quantity of the held reading that is meant."""
        if at is None:
            return self.case.first
        micros = to_micros(at)
        inside = self.case.first.at <= micros <= self.case.last.at
        found = walking.readings_of(self.session, self.object_id, self.metric_id, first=micros, last=micros)
        if not inside or not found:
            raise NotFound(
                f"no reading of {self.metric.name} of {self.row.reference} at {at.isoformat()} is held; "
                f"`metergate readings held --object {self.row.reference}` shows those that are"
            )
        return micros, found[-1][2]

    def detail(self, decision: str, at: int) -> dict[str, Any]:
        found = {"metric": self.metric.name, "decision": decision, "at": from_micros(at).isoformat()}
        return found | ({"reason": self.told.reason} if self.told.reason else {})


def _locked(session: Session, reference: str, told: Decision, now: datetime) -> _Register:
    row = known_object(registry.find(session, [reference], lock=True), reference)
    known = registry_of(session)
    metric = register_named(known, told.metric)
    metric_id = declared.key(metric.id)
    case = _open_cases(known, metric_id, {row.id}, now).get(row.id)
    if case is None:
        raise NotFound(f"no reading of {told.metric} of {reference} is held")
    return _Register(row=row, metric=metric, case=case, told=told, session=session)


def _decided(
    session: Session, register: _Register, said: Said, *, at: int, until: int | None, detail: dict[str, Any]
) -> DecisionInfo:
    """Write the decision and its event; periods that were charged since are valued again by the next close."""
    walking.decide(
        session,
        {
            "object_id": register.object_id,
            "metric_id": register.metric_id,
            "at": from_micros(at),
            "until": None if until is None else from_micros(until),
            "decision": detail["decision"],
            "reason": register.told.reason,
            "recorded_at": said.now,
            "origin": said.origin,
            "key": said.key,
        },
    )
    contracts = reversals.forget_boundaries(
        session, object_id=register.object_id, metric_id=register.metric_id, after=at - 1
    )
    declared.raise_revisions(session, contracts)
    count = len(walking.decisions(session, register.object_id, register.metric_id))
    key = said.key or f"{register.metric.name}@{at}#{count}"
    event = event_row(
        "readings_decided", object_id=register.object_id, now=said.now, origin=said.origin, key=key, detail=detail
    )
    registry.add_events(session, [event])
    return DecisionInfo(reference=register.row.reference, status=register.row.status, decision=detail)


def _object(session: Session, reference: str) -> registry.ObjectRow:
    return known_object(registry.find(session, [reference]), reference)


def register_named(known: Known, name: str) -> Metric:
    found = next((it for it in known.metrics.values() if it.name == name), None)
    if found is None:
        raise NotFound(f"metric {name!r} is not declared")
    if found.kind != "cumulative":
        raise Invalid(f"{name} is a {found.kind}: only readings of a register (cumulative) are held")
    return found
