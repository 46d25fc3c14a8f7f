"""Usage that came while its object was suspended, on plans that do not charge it: told, never silently free."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import Session

from billing.archiving import require_records
from billing.closing.pauses import Place, measure_spans, pauses_within, rises
from billing.closing.reader import MonthReader
from billing.closing.registers import HELD, Registers
from billing.core.charges import Usage, charge_from
from billing.core.periods import DAY
from billing.core.quantity import unscale
from storage import measuring, paused
from storage.measuring import Measured
from storage.paused import PausedSchedule
from storage.properties import parsed
from storage.records import GroupRow, groups_of_window
from storage.types import to_micros

Key = tuple[int, int]
"""Object id, metric id."""
Paused = tuple[Place, list[tuple[int, int]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unbilled:
    """What one object used in the suspended days of one period; `quantity` of what adds up, None of levels."""

    contract: str
    reference: str
    charge: str
    starts_on: date
    ends_on: date
    records: int
    quantity: Fraction | None
    unit: str
    word: str
    """What the charge says of it: `ignore` or `report`."""

    def as_json(self) -> dict[str, Any]:
        return {
            "contract": self.contract,
            "object": self.reference,
            "charge": self.charge,
            "from": self.starts_on,
            "to": self.ends_on - DAY,
            "records": self.records,
            "quantity": self.quantity,
            "unit": self.unit,
            "usage_while_suspended": self.word,
        }


def charges_that_leave_out(session: Session, words: Collection[str]) -> dict[int, Usage]:
    """The usage charges of all plans that say one of these words of usage while suspended."""
    found: dict[int, Usage] = {}
    for key, definition in paused.usage_definitions(session):
        # What it says is looked at before it is understood: a charge that is not is its own contract's failure.
        if definition.get("usage_while_suspended") in words:
            charge = charge_from(definition)
            assert isinstance(charge, Usage)  # noqa: S101 - so it was selected
            found[key] = charge
    return found


def unbilled(
    session: Session,
    *,
    words: Collection[str] = ("ignore", "report"),
    contracts: Collection[int] | None = None,
    month: tuple[date, date] | None = None,
) -> list[Unbilled]:
    """What was left out, by contract, object, charge and period; of all closed periods, or of those due in a month."""
    charges = charges_that_leave_out(session, words)
    rows = paused.schedules(session, charges, contracts=contracts, month=month) if charges else []
    if not rows:
        return []
    reader = MonthReader(session)
    found: dict[int, PausedSchedule] = {}
    wanted: dict[int, Paused] = {}
    for row in rows:
        start, end = to_micros(row.start_at), to_micros(row.end_at)
        pauses = pauses_within(row.suspensions, ZoneInfo(row.timezone), start_at=start, end_at=end)
        if pauses:
            found[row.id] = row
            wanted[row.id] = (Place(row.object_id, row.metric_id, start, end), pauses)
    filtered = {key for key in wanted if charges[found[key].charge_id].calculator.filter is not None}
    measured = measure_spans(reader, {key: it for key, it in wanted.items() if key not in filtered})
    measured |= _taken(reader, {key: (charges[found[key].charge_id], wanted[key]) for key in filtered})
    risen = rises(reader, _kept(session, wanted), wanted)
    told = []
    for key, row in found.items():
        records = measured.get(key)
        metric, charge = reader.metrics[row.metric_id], charges[row.charge_id]
        if metric.kind == "cumulative":
            quantity: Fraction | None = unscale(risen.get(key, 0), metric.decimals)
        else:
            adds_up = metric.kind == "delta" and records is not None
            quantity = unscale(records.total, metric.decimals) if adds_up and records is not None else None
        if records is None and not quantity:
            continue
        told.append(
            Unbilled(
                contract=row.contract,
                reference=row.reference,
                charge=row.charge,
                starts_on=row.starts_on,
                ends_on=row.ends_on,
                records=0 if records is None else records.records,
                quantity=quantity,
                unit=metric.unit,
                word=charge.usage_while_suspended,
            )
        )
    return sorted(told, key=lambda it: (it.contract, it.reference, it.charge, it.starts_on))


def _taken(reader: MonthReader, wanted: Mapping[int, tuple[Usage, Paused]]) -> dict[int, Measured]:
    """What the filter of each charge takes in its pauses; a statement for each pause, however many the objects."""
    groups: dict[tuple[int, int], dict[Key, list[GroupRow]]] = {}
    found: dict[int, Measured] = {}
    metric_ids = {place.metric_id for _, (place, _) in wanted.values()}
    for key, (charge, (place, pauses)) in wanted.items():
        for start, end in pauses:
            if (start, end) not in groups:
                require_records(reader.session, start, end)
                rows = groups.setdefault((start, end), {})
                for row in groups_of_window(reader.session, start=start, end=end, metric_ids=metric_ids):
                    rows.setdefault((row.object_id, row.metric_id), []).append(row)
            for row in groups[start, end].get((place.object_id, place.metric_id), []):
                if charge.calculator.filter is None or charge.calculator.filter.takes(parsed(row.content)):
                    was = found.get(key, Measured(0, 0, row.top))
                    found[key] = Measured(was.records + row.records, was.total + row.total, max(was.top, row.top))
    return found


def _kept(session: Session, wanted: Mapping[int, tuple[Place, list[tuple[int, int]]]]) -> Registers:
    registers = Registers()
    ends: dict[tuple[int, int], set[int]] = {}
    for place, _ in wanted.values():
        for at in (place.start_at, place.end_at):
            ends.setdefault((place.metric_id, at), set()).add(place.object_id)
    for (metric_id, at), object_ids in ends.items():
        for object_id, stored in measuring.boundaries(session, metric_id, at, object_ids).items():
            registers.kept[object_id, metric_id, at] = stored.quantity
            if stored.quality == HELD:
                registers.held.add((object_id, metric_id, at))
    return registers
