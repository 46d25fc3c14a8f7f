"""What a register counted through the exchanges of its hardware: as if one counter had gone on.

The law: a new register goes on from the old one's last reading, so what is consumed over an exchange is what the old
one rose to its end and the new one from its beginning, to the digit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from billing.archiving import require_records
from billing.closing.reader import MonthReader
from storage import exchanges
from storage.exchanges import Epoch
from storage.measuring import Measured, Span
from storage.types import DAY_MICROS


class Readings(NamedTuple):
    """Of one register: the highest value before a period, its first value inside, and the highest inside."""

    before: int | None
    first: int | None
    top: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counter:
    """A register with its exchanges up to the end of a period."""

    epochs: Sequence[Epoch]

    def reached(self, at: int) -> tuple[Epoch, int] | None:
        """The last exchange up to an instant, and what is added to readings since; None before the first."""
        added, last = 0, None
        for epoch in self.epochs:
            if epoch.starts_at > at:
                break
            last = epoch
            # Where nothing was read of the new register, nothing is added to a reading.
            added += epoch.final - (epoch.final if epoch.initial is None else epoch.initial)
        return None if last is None else (last, added)

    def value(self, last: tuple[Epoch, int], top: int | None) -> int:
        """What the counter stands at, whose highest reading since its last exchange is `top`."""
        epoch, added = last
        begun = epoch.final if epoch.initial is None else epoch.initial
        return added + (begun if top is None else max(begun, top))


def read_exchanged(
    reader: MonthReader, span: Span, raw: Mapping[int, tuple[Readings, Measured | None]]
) -> dict[int, Readings]:
    """The readings of the objects that were exchanged by the end of a span, as one counter; the others are left out.

    `raw` has the readings as they were read, and the totals of the span.
    """
    counters: dict[int, _Counter] = {}
    for object_id in raw if reader.exchanges else ():
        epochs = [it for it in reader.exchanges.get((object_id, span.metric_id), ()) if it.starts_at <= span.end]
        if epochs:
            counters[object_id] = _Counter(epochs=epochs)
    if not counters:
        return {}
    at_start = _since(reader, span, span.start, counters)
    inside = {it: c for it, c in counters.items() if c.reached(span.start) != c.reached(span.end)}
    at_end = _since(reader, span, span.end, inside)
    found: dict[int, Readings] = {}
    for object_id, counter in counters.items():
        read, totals = raw[object_id]
        begun, ended = counter.reached(span.start), counter.reached(span.end)
        before, first, top = read
        if begun is not None:
            before = counter.value(begun, at_start.get(object_id))
        if object_id in inside and ended is not None:
            top = counter.value(ended, at_end.get(object_id))
        elif begun is not None and top is not None:
            top += begun[1]
        if totals is None or totals.first_at >= counter.epochs[0].starts_at:
            first = counter.epochs[0].final
        found[object_id] = Readings(before, first, top)
    return found


def _since(reader: MonthReader, span: Span, at: int, counters: Mapping[int, _Counter]) -> dict[int, int]:
    """By object, the highest reading, as it was read, from its last exchange up to an instant, until that instant."""
    begun = {it: last[0].starts_at for it, c in counters.items() if (last := c.reached(at)) is not None}
    if not begun:
        return {}
    found = exchanges.tops_since(reader.session, metric_id=span.metric_id, at=at, object_ids=begun)
    day = at // DAY_MICROS
    if day * DAY_MICROS < at:
        require_records(reader.session, day * DAY_MICROS, at)
        for object_id, read_at, quantity in exchanges.of_day(reader.session, span.metric_id, day, begun):
            if begun[object_id] <= read_at < at:
                found[object_id] = max(quantity, found.get(object_id, quantity))
    return found
