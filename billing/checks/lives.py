"""Checks of the time that everything covers: schedules, contract items, pools, days; and usage outside of it."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from billing.checks import coverage
from billing.checks.books import DAY, Books, Finding
from billing.checks.days import date_differences
from billing.checks.pools import pool_differences
from storage import verifying
from storage.verifying import ScheduleRow


def tiles(books: Books) -> Iterator[Finding]:
    charges = verifying.tiled_charges(books.session)
    periods: dict[tuple[int, int], list[ScheduleRow]] = defaultdict(list)
    for schedule in books.of_items:
        if schedule.status != "cancelled":
            periods[schedule.contract_item_id or 0, schedule.charge_id].append(schedule)
    for item in verifying.items(books.session):
        if item.status == "cancelled":
            continue
        for charge_id, (charge, kind, trial_days) in charges.get(item.plan_version_id, {}).items():
            subject = f"{item.name}, {charge}"
            ends_on = item.fees_until if item.fees_until and kind == "recurring" else item.ends_on
            charged_from = (item.term_starts_on or item.starts_on) + trial_days * DAY
            reached = min(max(item.starts_on, charged_from), ends_on)
            for schedule in periods[item.id, charge_id]:
                if schedule.starts_on != reached:
                    what = "a gap" if schedule.starts_on > reached else "an overlap"
                    first, end = sorted((reached, schedule.starts_on))
                    message = f"the schedules of {subject} have {what} from {first} to {end - DAY}"
                    yield Finding(check="schedules", subject=subject, message=message)
                reached = max(reached, schedule.ends_on)
            if reached != ends_on:
                message = f"the schedules of {subject} end on {reached - DAY}, the item on {ends_on - DAY}"
                yield Finding(check="schedules", subject=subject, message=message)


def lines_of_items(books: Books) -> Iterator[Finding]:
    items = {item.id: item for item in verifying.items(books.session) if item.status != "cancelled"}
    followed = {item.follows_id for item in items.values()}
    by_place: dict[tuple[int, int], list[verifying.ItemRow]] = defaultdict(list)
    for item in items.values():
        by_place[item.object_id, item.subscription_id].append(item)
        before = items.get(item.follows_id or 0)
        if item.follows_id is not None and before is None:
            yield _line_finding(item, "follows an item that is not there")
        elif before is not None and (before.ends_on, before.end_at) != (item.starts_on, item.start_at):
            yield _line_finding(item, f"follows an item that ends on {before.ends_on - DAY}")
        if item.status == "replaced" and item.id not in followed:
            yield _line_finding(item, "was replaced, and nothing follows it")
    for rows in by_place.values():
        for one, other in pairwise(sorted(rows, key=lambda item: item.starts_on)):
            if other.starts_on < one.ends_on:
                yield _line_finding(other, f"is on its subscription twice until {one.ends_on - DAY}")


def _line_finding(item: verifying.ItemRow, what: str) -> Finding:
    subject = f"{item.name} from {item.starts_on}"
    return Finding(check="lines", subject=subject, message=f"the contract item {subject} {what}")


def pools(books: Books) -> Iterator[Finding]:
    for subject, message in pool_differences(books.session, books.reader):
        yield Finding(check="pools", subject=subject, message=message)


def dates(books: Books) -> Iterator[Finding]:
    for subject, message in date_differences(books.session):
        yield Finding(check="dates", subject=subject, message=message)


def outside(books: Books) -> Iterator[Finding]:
    records, objects = verifying.records_outside_items(books.session)
    if records:
        yield Finding(
            check="outside",
            subject="usage records",
            message=f"{records} usage records of {objects} objects are outside any contract item: nobody pays them",
            severity="information",
        )


def unmeasured(books: Books) -> Iterator[Finding]:
    for subject, message in coverage.unmeasured(books.session):
        yield Finding(check="unmeasured", subject=subject, message=message, severity="information")
