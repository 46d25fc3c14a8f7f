"""One read snapshot of a month, and what all its contracts read from it only once."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlmodel import Session

from billing.archiving import require_records
from billing.closing.rehearsal import DatabaseLike
from billing.core import measured as core
from billing.core.charges import Charge, Usage, charge_from
from billing.core.errors import Invalid
from billing.pooling import PoolCharge, pool_charges
from storage import closing, commitments, crediting, due, exchanges, incomplete, measuring, records, walking
from storage.due import ChargePeriod, ScheduleToValue
from storage.late import Touched, late_ends, late_levels, late_pools, late_schedules, touched_days
from storage.markers import Beginning
from storage.measuring import Measured, Span
from storage.tables import Metric
from storage.walking import Rise


class Asked(NamedTuple):
    """The usage of all objects in a range, which another connection adds up."""

    objects: range
    answer: Future[dict[int, Measured]]


@dataclass(slots=True)
class MonthReader:
    """One snapshot, and what all contracts of a month read from it only once."""

    session: Session
    touched: Touched | None = None
    """The days on which late usage may be, where they are known already."""
    database: DatabaseLike | None = None
    """What the snapshot is of, where a second connection may read it."""
    asked: dict[Span, Sequence[Asked]] = field(default_factory=dict)
    """The sums over whole days that another connection adds up meanwhile: ranges of objects, each behind the last."""
    mark: int = field(init=False)
    late: dict[int, list[int]] = field(init=False)
    metrics: dict[int, Metric] = field(init=False)
    charges: dict[int, tuple[int, Charge]] = field(default_factory=dict)
    windows: dict[Span, Mapping[int, Measured]] = field(default_factory=dict)
    rises: dict[tuple[int, int, int], list[Rise]] = field(default_factory=dict)
    """By metric, start and end, the readings that rose too fast."""
    record_charges: dict[int, Usage] = field(default_factory=dict)
    """The charges, of all plans, that are measured record by record."""
    by_record: dict[tuple[int, int], dict[int, core.Measured]] = field(default_factory=dict)
    """By window and schedule, what was measured record by record."""
    has_commitments: bool = field(init=False)
    """Whether any plan has one."""
    pool_charges: dict[int, PoolCharge] = field(init=False)
    """The charges of pools, of all plans."""

    exchanges: dict[tuple[int, int], list[Beginning]] = field(init=False)
    """By object and metric, where a register begins again."""

    accepted: dict[tuple[int, int], set[int]] = field(init=False)
    """By object and metric, the instants of readings that were held and accepted."""

    has_gestures: bool = field(init=False)
    has_gaps: bool = field(init=False)
    """Whether messages may be missing anywhere."""

    def __post_init__(self) -> None:
        closing.work_by_sets(self.session)
        self.has_gestures = crediting.has_gestures(self.session)
        self.has_gaps = incomplete.any_open(self.session)
        self.mark = measuring.usage_mark(self.session)
        self.metrics = due.metrics(self.session)
        touched = touched_days(self.session) if self.touched is None else self.touched
        self.late = late_schedules(self.session, touched)
        self.exchanges = exchanges.beginnings(self.session)
        self.accepted = walking.accepted(self.session)
        carrying: list[int] = []
        """Charges whose worth a record of an earlier period may change: levels, and registers that pause."""
        for row in records.usage_charges(self.session):
            try:
                charge = charge_from(row.definition)
            except Invalid:  # said where its contract is closed, so that the others are
                continue
            if isinstance(charge, Usage) and charge.calculator.reads_records():
                self.record_charges[row.id or 0] = charge
            paused = isinstance(charge, Usage) and charge.usage_while_suspended != "bill"
            if paused and row.metric_id is not None and self.metrics[row.metric_id].kind == "cumulative":
                carrying.append(row.id or 0)
        carrying += [charge_id for charge_id, charge in self.record_charges.items() if charge.calculator.carries()]
        self.has_commitments = commitments.any_declared(self.session)
        self.pool_charges = pool_charges(self.session)
        pooled = bool(self.pool_charges)
        reached = late_levels(self.session, touched, carrying, of_pools=pooled) if carrying else []
        if any(metric.kind == "cumulative" for metric in self.metrics.values()):
            reached += late_ends(self.session, touched)
        if pooled:
            reached += late_pools(self.session, touched)
        for contract_id, schedule_id in reached:
            self.late.setdefault(contract_id, []).append(schedule_id)

    def charges_of(self, schedules: Iterable[ScheduleToValue | ChargePeriod]) -> dict[int, tuple[int, Charge]]:
        """Position and charge by charge id."""
        unknown = {schedule.charge_id for schedule in schedules} - self.charges.keys()
        for charge_id, row in due.charges(self.session, unknown).items():
            self.charges[charge_id] = (row.position, charge_from(row.definition))
        return self.charges

    def window(self, span: Span) -> Mapping[int, Measured]:
        """By object, the usage in a part of a day."""
        if span.start >= span.end:
            return {}
        if span not in self.windows:
            require_records(self.session, span.start, span.end)
            self.windows[span] = measuring.window(self.session, span)
        return self.windows[span]

    def whole_days(self, span: Span, objects: AbstractSet[int], *, adds_up: bool) -> Mapping[int, Measured]:
        """By object, the usage over the whole days inside a span, of these objects at least.

        What another connection has been asked for and has not begun is taken off it, from the end.
        """
        asked = self.asked.get(span, ()) if adds_up else ()
        if not asked or min(objects) < asked[0].objects.start or max(objects) >= asked[-1].objects.stop:
            return measuring.whole_days(self.session, span, objects, adds_up=adds_up)
        found: dict[int, Measured] = {}
        for part, answer in reversed(asked):
            taken = answer.cancel()
            found |= measuring.whole_days(self.session, span, part, adds_up=True) if taken else answer.result()
        return found
