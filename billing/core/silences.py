"""Silences between the times of records: pure."""

from collections.abc import Iterator, Sequence

MICROS = 1_000_000


def holes(start: int, times: Sequence[int], expected_seconds: int) -> Iterator[tuple[int, int]]:
    """The spans `(from, until)` from `start` to the last of the rising `times` in which nothing came for too long.

    All in microseconds.

    >>> list(holes(0, [60 * MICROS, 200 * MICROS], 60))
    [(60000000, 200000000)]
    """
    before = start
    for at in times:
        if at - before > expected_seconds * MICROS:
            yield before, at
        before = at
