"""The numbers that objects give their messages, one after the other: what jumps is missing, what comes late is not.

The law: a number that is missing is named, so that it is found again when it comes after all.
"""

from typing import NamedTuple

RUNS_MAX = 100
"""Runs of missing numbers that one gap names."""


class Numbered(NamedTuple):
    """A message that carries a number; `at` is when it was sent, or came where it does not say (microseconds)."""

    reference: str
    source: str
    number: int
    wraps_at: int | None
    """The first number is 0 again after this many."""
    at: int


class State(NamedTuple):
    """The last number of an object, and when its message was sent."""

    number: int
    at: int


class Followed(NamedTuple):
    """What a number shows: the state after it, the run that is missing before it, or that it is an earlier one."""

    state: State
    missing: tuple[int, int] | None = None
    late: bool = False


def follow(state: State | None, said: Numbered) -> Followed:
    """What a number says after the state before it.

    One that is lower and was sent later is that of an object that began again, unless its numbers go round.
    """
    now = State(said.number, said.at)
    if state is None:
        return Followed(now)
    wraps_at = said.wraps_at
    ahead = said.number - state.number if wraps_at is None else (said.number - state.number) % wraps_at
    if wraps_at is not None and ahead > wraps_at // 2:
        return Followed(state, late=True)
    if ahead <= 0:
        began_again = ahead < 0 and said.at > state.at
        return Followed(now) if began_again else Followed(state, late=True)
    if ahead == 1:
        return Followed(now)
    return Followed(now, missing=(state.number + 1, state.number + ahead - 1))


def without(runs: list[list[int]], number: int, wraps_at: int | None) -> list[list[int]]:
    """The runs of missing numbers without one that came."""
    left: list[list[int]] = []
    for first, last in runs:
        at = number if wraps_at is None or number >= first else number + wraps_at
        if not first <= at <= last:
            left.append([first, last])
            continue
        left += [run for run in ([first, at - 1], [at + 1, last]) if run[0] <= run[1]]
    return left if len(left) <= RUNS_MAX else runs
