"""What a second connection adds up is what the first would have, and what it was not asked for is asked for."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from sqlalchemy import event

from billing.close import close
from billing.closing import meanwhile
from billing.closing.reader import Asked, MonthReader
from storage.database import Database
from storage.invoices import InvoiceDocument
from storage.measuring import Measured, Span
from tests.closing.fleet import FEE, MUCH_LATER, USAGE, Fleet

UNTIL = date(2022, 5, 31)
OBJECTS, OBJECTS_AT_ONCE = 6, 4
GREATEST = USAGE | {"name": "Greatest", "calculator": {**USAGE["calculator"], "aggregation": "max"}}  # type: ignore[dict-item]
HOW_MANY = USAGE | {"name": "How many", "calculator": {**USAGE["calculator"], "aggregation": "count"}}  # type: ignore[dict-item]


@contextmanager
def asked(database: Database) -> Iterator[dict[str, int]]:
    """How often a state is handed to a second connection inside the block, and how often whole days are added up."""
    found = {"pg_export_snapshot": 0, "SUM(r.record_count)": 0}

    def look(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        for part in found:
            found[part] += part in statement

    event.listen(database.engine, "before_cursor_execute", look)
    yield found
    event.remove(database.engine, "before_cursor_execute", look)


def fill(database: Database, charges: Sequence[Mapping[str, Any]]) -> None:
    """Two contracts whose objects lie between each other, one of them without usage."""
    fleets = [
        Fleet(database, charges=charges, contract=name, zone="America/New_York")
        for name in ("One fleet", "Other fleet")
    ]
    for number in range(OBJECTS):
        for fleet in fleets:
            reference = f"{fleet.contract}_{number}"
            fleet.activate(reference)
            for use in range(number):
                fleet.uses(reference, 1 + number * use, f"2022-0{4 + use % 2}-{10 + use}T0{use}:30:00Z")
                fleet.uses(reference, 1, f"2022-05-01T0{use}:30:00Z")


def closed(database: Database) -> list[InvoiceDocument]:
    report = close(database, UNTIL, MUCH_LATER, dry_run=False)
    assert report.failures == ()
    return [replace(it, lines=tuple(replace(line, id=0) for line in it.lines)) for it in report.invoices]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    "charges, sums",
    [((USAGE,), True), ((USAGE, HOW_MANY, FEE), True), ((USAGE, GREATEST), False), ((FEE,), False)],
    ids=["a sum", "a sum, a count and a fee", "a greatest among them", "no usage"],
)
def test_the_invoices_are_the_same(
    sqlite_database: Database,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    charges: Sequence[Mapping[str, Any]],
    *,
    sums: bool,
) -> None:
    fill(sqlite_database, charges)
    fill(database, charges)
    monkeypatch.setattr(meanwhile, "OBJECTS_MIN", 2)
    monkeypatch.setattr(meanwhile, "OBJECTS_AT_ONCE", OBJECTS_AT_ONCE)
    with asked(database) as found:
        assert closed(database) == closed(sqlite_database)
    months_of_contracts = 4
    assert found["pg_export_snapshot"] == (months_of_contracts if sums else 0)
    parts = len(range(0, 2 * OBJECTS - 1, OBJECTS_AT_ONCE)) if sums else 1
    assert found["SUM(r.record_count)"] == (months_of_contracts * parts if USAGE in charges else 0)


def test_objects_beside_those_that_were_asked_for_are_measured(database: Database) -> None:
    fleet = Fleet(database, zone="UTC")
    first, second = fleet.activate("IOT_1"), fleet.activate("IOT_2")
    for reference in ("IOT_1", "IOT_2"):
        fleet.uses(reference, 7, "2022-04-14T10:00:00Z")
    april = Span(fleet.metric_id, 1_648_771_200_000_000, 1_651_363_200_000_000, ends=False)
    answer: Future[dict[int, Measured]] = Future()
    answer.set_result({})
    with database.snapshot() as session:
        reader = MonthReader(session)
        reader.asked[april] = [Asked(range(second, second + 1), answer)]
        assert reader.whole_days(april, {second}, adds_up=True) == {}
        assert set(reader.whole_days(april, {first, second}, adds_up=True)) == {first, second}
        assert set(reader.whole_days(april, {second}, adds_up=False)) == {second}


def test_what_another_connection_has_not_begun_is_taken_off_it(database: Database) -> None:
    fleet = Fleet(database, zone="UTC")
    first, second = fleet.activate("IOT_1"), fleet.activate("IOT_2")
    fleet.uses("IOT_2", 7, "2022-04-14T10:00:00Z")
    april = Span(fleet.metric_id, 1_648_771_200_000_000, 1_651_363_200_000_000, ends=False)
    there, waiting = Future[dict[int, Measured]](), Future[dict[int, Measured]]()
    there.set_result({first: Measured(1, 5, 0)})
    with database.snapshot() as session:
        reader = MonthReader(session)
        reader.asked[april] = [Asked(range(first, second), there), Asked(range(second, second + 1), waiting)]
        found = reader.whole_days(april, {first, second}, adds_up=True)
    assert {it: used.total for it, used in found.items()} == {first: 5, second: 7_000_000}
    assert waiting.cancelled()
