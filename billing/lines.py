"""The lines of an object: contract items that follow one another without a day between, one line a subscription taken.

The law: a change of mind from a day on is told to the line, whatever items it consists of by then; each item gets
its part.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel import Session

from billing.activation import local_day
from billing.core.errors import Invalid
from billing.core.periods import DAY
from billing.core.suspensions import Span, clipped, first_difference, merged
from storage import items
from storage.items import ItemRow


@dataclass(frozen=True, slots=True)
class Line:
    """Items of one object, the oldest first; each follows the one before it."""

    items: tuple[ItemRow, ...]

    @property
    def first(self) -> ItemRow:
        return self.items[0]

    @property
    def last(self) -> ItemRow:
        return self.items[-1]

    @property
    def live(self) -> bool:
        """Whether the service goes on, or is still to begin."""
        return self.last.status == "running"

    @property
    def term_starts_on(self) -> date:
        """Where its terms are counted from."""
        return self.last.term_starts_on or self.last.starts_on

    def reaching(self, day: date) -> list[ItemRow]:
        """The items with days from `day` on."""
        return [item for item in self.items if item.ends_on > day]


def lines(session: Session, object_ids: Collection[int]) -> dict[int, list[Line]]:
    """Every line of these objects, by object id, in the order of the first day."""
    found: dict[int, list[list[ItemRow]]] = {}
    place: dict[int, list[ItemRow]] = {}
    for item in items.of_objects(session, object_ids):
        chain = place.get(item.follows_id or 0)
        if chain is None:
            chain = []
            found.setdefault(item.object_id, []).append(chain)
        chain.append(item)
        place[item.id] = chain
    return {object_id: [Line(tuple(chain)) for chain in chains] for object_id, chains in found.items()}


def live_lines(session: Session, object_id: int) -> list[Line]:
    """The lines of one object whose service goes on."""
    return [line for line in lines(session, [object_id]).get(object_id, []) if line.live]


def effective_day(line: Line, on: date | None, now: datetime, *, past_end: bool = False, to_come: bool = False) -> date:
    """The day from which a command holds for a line: `on`, or the present one.

    Raises Invalid for a day to come (unless `to_come`), before the line's first, or after its last (unless `past_end`).
    """
    today = local_day(now, line.last.timezone)
    day = on or today
    name = line.last.name
    if day > today and not to_come:
        raise Invalid(f"{day} is still to come in {line.last.timezone}; send the command on that day")
    if day < line.first.starts_on:
        raise Invalid(f"contract item {name} starts on {line.first.starts_on}; {day} is before that")
    if day >= line.last.ends_on and not past_end:
        raise Invalid(f"contract item {name} ends on {line.last.ends_on - DAY}; {day} is after that")
    return day


def suspended_spans(session: Session, line: Line) -> tuple[Span, ...]:
    """The suspended days of a line."""
    stored = items.suspensions(session, [item.id for item in line.items])
    return merged(
        span
        for item in line.items
        for span in clipped(
            [(row.starts_on, row.ends_on) for row in stored.get(item.id, [])],
            item.starts_on,
            None if item is line.last else item.ends_on,
        )
    )


def suspend_days(
    session: Session, line: Line, change: Callable[[Sequence[Span], date], Sequence[Span]], day: date
) -> None:
    """Change the suspended days of a line from `day` on; what was charged for days that changed is looked at again."""
    before = suspended_spans(session, line)
    after = change(before, day)
    spread: dict[int, Sequence[Span]] = {}
    for item in line.items:
        limit = None if item is line.last else item.ends_on
        was, is_now = clipped(before, item.starts_on, limit), clipped(after, item.starts_on, limit)
        since = first_difference(was, is_now)
        if since is not None:
            spread[item.id] = is_now
            items.mark_revalue(session, [item.id], since)
    items.replace_suspensions(session, spread)
