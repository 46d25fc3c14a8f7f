"""Whatever is repeated, reordered or lost, whatever turns over and is marked as another register: it adds up."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from billing.core.boundaries import Rule, value_at
from billing.core.registers import HOUR, Epoch, Reading, Rules, walk

MODULUS = 1000
STEP = 6 * HOUR
MOST = 20
"""What is counted from one reading to the next: with three lost between two that come, a turn is still seen."""


@dataclass(frozen=True)
class History:
    """What an object's registers counted, what of it arrived, and in which order."""

    arrived: Sequence[Reading]
    epochs: Sequence[Epoch]
    counted: int
    """The last reading less the first of each register that was read, and its full turns."""


@st.composite
def histories(draw: st.DrawFn) -> History:
    arrived: list[Reading] = []
    epochs: list[Epoch] = []
    counted, at = 0, 0
    for n in range(draw(st.integers(1, 4))):
        total = draw(st.one_of(st.integers(MODULUS - 60, MODULUS - 1), st.integers(0, MODULUS - 1)))
        kept: list[tuple[int, int]] = []
        lost = 0
        if n:
            epochs.append(Epoch(at, None, None))
        for rise in draw(st.lists(st.integers(0, MOST), min_size=1, max_size=40)):
            total += rise
            if lost < 3 and draw(st.integers(0, 4)) == 0:
                lost += 1
            else:
                lost = 0
                kept.append((at, total))
            at += STEP
        if kept:
            counted += kept[-1][1] - kept[0][1]
        arrived += [Reading(when, value % MODULUS) for when, value in kept]
    repeated = draw(st.lists(st.sampled_from(arrived), max_size=10)) if arrived else []
    return History(draw(st.permutations([*arrived, *repeated])), epochs, counted)


@given(
    history=histories(),
    boundaries=st.lists(st.integers(0, 200 * 6).map(lambda n: n * HOUR), max_size=5, unique=True).map(sorted),
    rule=st.sampled_from([Rule(), Rule("interpolated"), Rule("interpolated", 2 * HOUR)]),
)
def test_the_periods_add_up_to_last_minus_first_and_the_full_turns(
    history: History, boundaries: list[int], rule: Rule
) -> None:
    if not history.arrived:
        return
    ends = [*boundaries, 10**6 * HOUR]
    found = walk(history.arrived, probes=ends, epochs=history.epochs, rules=Rules(modulus=MODULUS))
    assert found.cases == []
    first = min(history.arrived)
    values = [value_at(at, found.probes[at], rule) for at in ends]
    kept = [first.quantity, *(it.quantity for it in values if it is not None)]
    assert kept == sorted(kept)
    assert sum(end - begin for begin, end in pairwise(kept)) == history.counted
