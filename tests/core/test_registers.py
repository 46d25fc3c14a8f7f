"""What a register counted: drops are held, full turns counted, and nothing is lost or found by the order of arrival."""

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.registers import HOUR, Case, Day, Epoch, Piece, Reading, Rules, Walked, walk

DAY = 24 * HOUR
LATER = 1000 * DAY


def readings(*quantities: int, every: int = HOUR) -> list[Piece]:
    return [Reading(n * every, quantity) for n, quantity in enumerate(quantities)]


def counted(found: Walked, at: int = LATER) -> int:
    reached = found.probes[at].before
    assert reached is not None
    return reached.quantity


def case_of(found: Walked) -> Case:
    (case,) = found.cases
    return case


def test_a_rising_register_counts_its_rise() -> None:
    found = walk(readings(100, 100, 130), probes=[LATER])
    assert counted(found) == 130
    assert found.cases == []


def test_a_drop_is_held_and_released_at_nothing_when_the_register_is_back() -> None:
    found = walk(readings(100, 0, 0, 104), probes=[2 * HOUR, LATER])
    assert counted(found, 2 * HOUR) == 100
    assert found.probes[2 * HOUR].held
    assert counted(found) == 104
    case = case_of(found)
    assert (case.state, case.readings, case.before.quantity, case.released_at) == ("released", 2, 100, 3 * HOUR)


def test_a_register_that_stays_low_is_proposed_as_an_exchange_and_never_billed_by_itself() -> None:
    found = walk(readings(100, 3, 4, 5, 140), probes=[LATER])
    assert counted(found) == 100
    assert case_of(found).state == "proposed"
    assert case_of(found).readings == 4


def test_low_readings_of_a_minute_are_no_exchange_yet() -> None:
    found = walk([*readings(100, 0, 0, 0, 0, every=HOUR // 60), Reading(HOUR, 101)], probes=[LATER])
    assert counted(found) == 101
    assert case_of(found).state == "released"


def test_above_the_maximum_rate_a_reading_is_held_as_long_as_the_register_stays_there() -> None:
    rules = Rules(maximum_rate=10)
    found = walk(readings(100, 110, 1200, 1201, 1210), probes=[LATER], rules=rules)
    assert counted(found) == 110
    assert (case_of(found).kind, case_of(found).state, case_of(found).readings) == ("rate", "held", 3)


def test_a_flip_to_ten_times_the_value_and_back_is_a_glitch() -> None:
    found = walk(readings(100, 1050, 110), probes=[LATER], rules=Rules(maximum_rate=10))
    assert counted(found) == 110
    assert case_of(found).state == "released"


def test_a_reading_that_was_accepted_counts() -> None:
    found = walk(readings(100, 1200, 1205), probes=[LATER], rules=Rules(maximum_rate=10), accepted={HOUR})
    assert counted(found) == 1205
    low = walk(readings(100, 20, 25), probes=[LATER], accepted={HOUR})
    assert counted(low) == 105
    assert low.cases == []


def test_an_exchange_goes_on_from_the_last_reading_of_the_old_register() -> None:
    pieces = readings(100, 130, 4, 10)
    assert counted(walk(pieces, probes=[LATER], epochs=[Epoch(2 * HOUR, 135, 2)])) == 143
    assert counted(walk(pieces, probes=[LATER], epochs=[Epoch(2 * HOUR, None, None)])) == 136


def test_a_full_turn_is_counted_to_the_last_digit() -> None:
    rules = Rules(modulus=1000)
    found = walk(readings(990, 997, 5, 60), probes=[LATER], rules=rules)
    assert counted(found) == 1060
    assert [(it.before.quantity, it.now.quantity) for it in found.rollovers] == [(997, 5)]
    assert found.cases == []


@pytest.mark.parametrize("before, now", [(850, 5), (997, 150)])
def test_a_drop_that_is_no_plausible_turn_is_held(before: int, now: int) -> None:
    assert case_of(walk(readings(before, now), probes=[LATER], rules=Rules(modulus=1000))).kind == "drop"


def test_a_turn_that_would_be_too_fast_is_held() -> None:
    found = walk(readings(990, 60), probes=[LATER], rules=Rules(modulus=1000, maximum_rate=10))
    assert counted(found) == 990


def test_zeros_near_the_top_are_no_turn_once_the_register_is_back() -> None:
    found = walk(readings(990, 0, 995), probes=[LATER], rules=Rules(modulus=1000))
    assert counted(found) == 995
    assert found.rollovers == []
    assert case_of(found).state == "released"


# --- days in place of their readings -------------------------------------------------------------------------


def days_of(pieces: list[Reading]) -> list[Piece]:
    found: list[Piece] = []
    for day, inside in groupby(sorted(pieces), key=lambda it: it.at // DAY):
        of_day = list(inside)
        quantities = [it.quantity for it in of_day]
        found.append(
            Day(day, len(of_day), *of_day[0], min(quantities), max(quantities), of_day[-1].at, of_day[-1].quantity)
        )
    return found


def walk_days(pieces: list[Reading], **known: object) -> Walked:
    """As the close walks: days, and single readings of the days that are asked for."""
    days = {it.day: [it] for it in days_of(pieces) if isinstance(it, Day)}
    while True:
        found = walk([it for inside in days.values() for it in inside], **known)  # type: ignore[arg-type]  # passed on
        if not found.expand:
            return found
        for day in found.expand:
            days[day] = [it for it in pieces if it.at // DAY == day]  # type: ignore[misc]  # readings are pieces


SOME_READINGS = st.lists(
    st.builds(Reading, st.integers(0, 200).map(lambda n: n * 3 * HOUR), st.integers(0, 99)),
    unique_by=lambda it: it.at,
    max_size=60,
)


@given(pieces=SOME_READINGS, probes=st.lists(st.integers(0, 600).map(lambda n: n * HOUR), min_size=1, max_size=4))
def test_days_from_the_rollup_give_what_their_readings_give(pieces: list[Reading], probes: list[int]) -> None:
    known = {"probes": probes, "rules": Rules(modulus=100), "epochs": [Epoch(100 * HOUR, None, None)]}
    whole, by_day = walk(pieces, **known), walk_days(pieces, **known)  # type: ignore[arg-type]  # passed on
    assert {at: it.before and it.before.quantity for at, it in by_day.probes.items()} == {
        at: it.before and it.before.quantity for at, it in whole.probes.items()
    }
    assert by_day.rollovers == whole.rollovers
    open_then, open_now = ([case for case in it.cases if case.open] for it in (whole, by_day))
    assert open_then == open_now
