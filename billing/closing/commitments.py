"""Commitments over several charges: which schedules they count, and which of them must be looked at again.

The law: a commitment counts what lies inside its own period, each schedule once; when that changes, so does what is
missing.
"""

from collections.abc import Iterable, Sequence

from billing.closing.reader import MonthReader
from billing.core.charges import Commitment
from storage import commitments
from storage.commitments import Counted
from storage.due import ScheduleToValue

COUNTED_TYPES = {"usage": ("usage", "event"), "all": ("usage", "event", "recurring", "one_time")}


def counted_by(reader: MonthReader, schedules: Sequence[ScheduleToValue]) -> dict[int, list[Counted]]:
    """By schedule of a commitment, the schedules of its item, subscription or contract that it counts."""
    found: dict[int, list[Counted]] = {}
    for schedule in schedules:
        charge = reader.charges[schedule.charge_id][1]
        types = COUNTED_TYPES[charge.counts] if isinstance(charge, Commitment) else ()
        found[schedule.id] = commitments.counted(reader.session, schedule.id, scope=charge.scope, types=types)
    return found


def reached_by(reader: MonthReader, contract_id: int, schedules: Iterable[ScheduleToValue]) -> list[int]:
    """The charged schedules of commitments, by id, whose periods hold a schedule that is valued again."""
    if not reader.has_commitments:
        return []
    again = [it for it in schedules if it.status not in {"planned", "valued"}]
    return [
        it.id
        for it in (commitments.charged(reader.session, contract_id) if again else ())
        if any(it.starts_on <= of.nominal_starts_on and of.nominal_ends_on <= it.ends_on for of in again)
    ]
