"""What the verification says of dates: local days and their instants agree, what is due can be, months follow."""

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from sqlmodel import Session

from billing.core.periods import DAY, add_months, local_midnight
from storage import dating, measuring
from storage.dating import Dated


def date_differences(session: Session) -> Iterator[tuple[str, str]]:
    """Subject and sentence of each date that is not as it must be."""
    midnight, zone = cache(local_midnight), cache(ZoneInfo)
    for found in dating.dated(session):
        subject = f"{found.what}, from {found.starts_on}"
        known = zone(found.timezone)
        begins = {midnight(found.starts_on, known), found.handed_over_at}
        if found.start_at not in begins or found.end_at != midnight(found.ends_on, known):
            days = f"{found.starts_on} to {found.ends_on - DAY} in {found.timezone}"
            yield subject, f"the instants of {subject} are not those of its days, {days}"
        if found.due_on is not None and not _may_be_due(found):
            yield subject, f"{subject} is due on {found.due_on}, which is no day that it could be due on"
    yield from _months(session)


def _may_be_due(found: Dated) -> bool:
    """In arrears the last day; in advance the day before, or the first; what an end cut short, on the last of all."""
    possible = {found.ends_on - DAY, found.starts_on - DAY, found.starts_on}
    return found.due_on in possible or (found.item_ends_on is not None and found.due_on == found.item_ends_on - DAY)


def _months(session: Session) -> Iterator[tuple[str, str]]:
    last = measuring.usage_mark(session)
    closed = dating.months(session)
    for month in closed:
        if month.starts_on.day != 1 or month.mark > last:
            yield month.contract, f"{month.contract} has a closed month from {month.starts_on} up to batch {month.mark}"
    for one, other in pairwise(closed):
        if one.contract != other.contract:
            continue
        if other.starts_on != add_months(one.starts_on, 1):
            yield one.contract, f"{one.contract} has {one.starts_on} and then {other.starts_on} closed, nothing between"
        if other.mark < one.mark:
            yield (
                one.contract,
                f"the close of {other.starts_on} of {one.contract} saw less usage than the one before it",
            )
