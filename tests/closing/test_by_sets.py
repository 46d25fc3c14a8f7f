"""A close of a fleet reads and writes by sets: what is shaped for the database changes nothing of what is meant."""

import pytest
from sqlalchemy import text

from storage.database import Database
from storage.due import RUN_ROWS_MIN, runs
from storage.measuring import Span, whole_days
from storage.sets import ARRAY_ROWS
from storage.types import DAY_MICROS

DAY = 20_000
OBJECTS = range(1, 1801)


def rows_of(*ids: int) -> list[tuple[str, str, str, int]]:
    return [("invoiced", "1", "1", it) for it in ids]


def test_rows_are_cut_where_many_ids_are_left_out_and_none_is_lost() -> None:
    first, second = range(1, RUN_ROWS_MIN + 1), range(50_000, 50_000 + RUN_ROWS_MIN)
    found = list(runs(rows_of(*first, *second, 90_000)))
    assert [len(run) for run in found] == [RUN_ROWS_MIN, RUN_ROWS_MIN, 1]
    assert [row for run in found for row in run] == rows_of(*first, *second, 90_000)


def test_scattered_rows_stay_together_and_a_run_has_its_limit() -> None:
    assert len(list(runs(rows_of(*range(0, 500_000, 5_000))))) == 1
    assert [len(run) for run in runs(rows_of(*range(2 * ARRAY_ROWS + 1)))] == [ARRAY_ROWS, ARRAY_ROWS, 1]
    assert list(runs([])) == []


@pytest.mark.parametrize(
    "asked",
    [{it for it in OBJECTS if it % 3}, set(OBJECTS), {it for it in OBJECTS if it % 30 == 0}, set()],
    ids=["two of three", "all", "few", "none"],
)
@pytest.mark.parametrize("ends", [False, True], ids=["sums", "with their ends"])
def test_only_the_objects_that_were_asked_for_are_measured(database: Database, asked: set[int], *, ends: bool) -> None:
    with database.transaction() as session:
        session.connection().execute(
            text(
                "INSERT INTO usage_rollup (object_id, metric_id, day, record_count, quantity_sum, quantity_max, "
                "quantity_min, first_at, first_quantity, last_at, last_quantity, batch) "
                "VALUES (:object, 1, :day, 1, :object, :object, :object, 0, :object, 0, :object, 1)"
            ),
            [{"object": it, "day": day} for it in OBJECTS for day in (DAY, DAY + 1, DAY + 2)],
        )
        found = whole_days(session, Span(1, DAY * DAY_MICROS, (DAY + 2) * DAY_MICROS, ends), asked)
    assert {it: (used.records, used.total) for it, used in found.items()} == {it: (2, 2 * it) for it in asked}
