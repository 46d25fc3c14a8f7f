"""What a large contract used, added up on a second connection while its schedules are read on the first.

The law: both read one state, so it is what asking afterwards gives; what was not asked for is asked for then.
"""

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date

from billing.closing.measure import adds_up, needs_ends
from billing.closing.reader import Asked, MonthReader
from billing.closing.spans import parts_of
from billing.core.charges import Charge, Usage
from storage import closing, due, measuring
from storage.due import ChargePeriod
from storage.measuring import Span

OBJECTS_MIN = 5000
"""Fewer are added up sooner than a second connection is there."""
OBJECTS_AT_ONCE = 10_000
"""Few enough that one connection waits little for the other, and that their sums fit the processor's cache."""


@contextmanager
def added_up_meanwhile(reader: MonthReader, contract_id: int, due_through: date) -> Iterator[None]:
    """Where two connections can read one state, the sums that what is due needs are on their way inside the block."""
    beside = None if reader.database is None else reader.database.beside(reader.session)
    spans = {} if beside is None else dict(_spans(reader, contract_id, due_through))
    if beside is None or not spans:
        yield
        return
    with beside as other, ThreadPoolExecutor(max_workers=1) as worker:
        closing.work_by_sets(other, beside=True)
        for span, objects in spans.items():
            starts = objects[::OBJECTS_AT_ONCE]
            parts = [range(first, min(first + OBJECTS_AT_ONCE, objects.stop)) for first in starts]
            reader.asked[span] = [
                Asked(part, worker.submit(measuring.whole_days, other, span, part, adds_up=True)) for part in parts
            ]
        try:
            yield
        finally:
            reader.asked.clear()
            worker.shutdown(cancel_futures=True)


def _spans(reader: MonthReader, contract_id: int, due_through: date) -> Iterator[tuple[Span, range]]:
    """The whole days that are measured of many objects that lie close together, where all that is asked for adds up."""
    found: dict[tuple[int, int, int], list[ChargePeriod]] = defaultdict(list)
    session = reader.session
    many = due.charge_periods_due(session, contract_id=contract_id, due_through=due_through, at_least=OBJECTS_MIN)
    for it in many:
        found[it.metric_id, it.start_at, it.end_at].append(it)
    charges = reader.charges_of(many)
    for (metric_id, start, end), alike in found.items():
        kind = reader.metrics[metric_id].kind
        if not all(_sums(charges[it.charge_id][1], kind) for it in alike):
            continue
        objects = range(min(it.least_object for it in alike), max(it.most_object for it in alike) + 1)
        if len(objects) < 2 * max(it.schedules for it in alike):
            whole, _ = parts_of(Span(metric_id, start, end, ends=False), adds_up=True)
            yield whole, objects


def _sums(charge: Charge, metric_kind: str) -> bool:
    by_record = isinstance(charge, Usage) and charge.calculator.reads_records()
    return adds_up(charge) and not by_record and not needs_ends(charge, metric_kind)
