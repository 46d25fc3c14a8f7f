"""What the plan to a million objects makes of measured unit costs."""

from dataclasses import replace

import pytest

from benchmarks.scale import Costs, plan, table, typical

ONE = Costs(
    objects=5_000,
    messages=60_000,
    wall_messages_a_second=16_000,
    broker_us_a_message=15,
    broker_kibibytes_a_session=10,
    ingest_us_a_message=50,
    database_us_a_message=30,
    record_bytes=100,
    rollup_row_bytes=200,
    wal_bytes_a_message=600,
    worker_mebibytes=95,
    close_us_a_schedule=90,
    close_database_us_a_schedule=30,
    close_schedules_a_second=5_000,
)


def test_a_million_objects_are_reckoned_from_unit_costs() -> None:
    # 1,000,000 / 60 = 16,667 messages a second, 1.44 billion a day; processors half busy.
    assert plan(ONE, objects=1_000_000) == {
        "messages a second": 16_667,
        "usage records a day, millions": 1_440,
        "broker cores": 0.5,  # 16,667 * 15 us = 0.25 s a second, twice that
        "broker memory for connections, GB": 10.2,
        "ingest processes": 2,  # 0.83 s a second, twice that, rounded up
        "database cores for ingest": 1.0,
        "databases, each committing batch after batch": 1.0,  # of half a core
        "usage records, GB a day": 144,
        "usage records, TB for 92 days": 13.2,
        "rollup, GB a year": 73,
        "write-ahead log, MB a second": 10.0,
        "close of a month, minutes with one closer": 2.0,
    }


def test_a_cost_is_the_median_of_its_rounds_with_the_spread() -> None:
    rounds = [replace(ONE, record_bytes=bytes_) for bytes_ in (130, 100, 110)]
    assert typical(rounds).record_bytes == 110
    page = table([rounds, rounds], objects=1_000_000, command="python -m benchmarks.scale")
    assert "| record bytes | 110 (100 to 130) | 110 (100 to 130) |" in page
    assert "| usage records, GB a day | 158 |" in page


@pytest.mark.parametrize("half", [0.25, 0.5])
def test_processors_that_are_to_be_less_busy_are_more(half: float) -> None:
    assert plan(ONE, objects=1_000_000, half=half)["broker cores"] == round(0.25 / half, 1)
