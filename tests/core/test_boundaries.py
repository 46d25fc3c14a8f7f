"""The value of a register at the end of a period: the best that the readings around it give."""

import pytest

from billing.core.boundaries import Rule, Value, value_at
from billing.core.registers import HOUR, Probe, Reading

AT = 100 * HOUR
BEFORE, AFTER = Reading(AT - 3 * HOUR, 100), Reading(AT + HOUR, 110)
BEST = Rule("interpolated", HOUR // 2)


@pytest.mark.parametrize(
    "before, after, rule, value",
    [
        (None, AFTER, BEST, None),
        (BEFORE, AFTER, Rule(), Value(100, "estimated")),
        (BEFORE, AFTER, BEST, Value(108, "interpolated")),  # three quarters of 10, rounded half away from zero
        (BEFORE, None, BEST, Value(100, "estimated")),
        (BEFORE, Reading(AT, 105), BEST, Value(105, "reading")),
        (BEFORE, Reading(AT + HOUR // 2, 106), BEST, Value(106, "reading")),
        (Reading(AT - HOUR // 4, 104), Reading(AT + HOUR // 2, 106), BEST, Value(104, "reading")),
        (Reading(AT - HOUR, 104), Reading(AT + HOUR, 104), BEST, Value(104, "interpolated")),
    ],
)
def test_the_best_value_there_is(
    before: Reading | None, after: Reading | None, rule: Rule, value: Value | None
) -> None:
    assert value_at(AT, Probe(before, after, held=False), rule) == value


def test_while_readings_are_held_the_last_that_counts_is_carried() -> None:
    assert value_at(AT, Probe(BEFORE, AFTER, held=True), BEST) == Value(100, "held")
