"""A column gives back exactly what was put into it, however small or large, and says its sum and its text."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from billing.core.columns import ExactColumn

SMALL = st.fractions(min_value=-(10**6), max_value=10**6, max_denominator=1000)
LARGE = st.fractions(min_value=-(10**30), max_value=10**30, max_denominator=10**25)
NUMBERS = st.lists(st.one_of(SMALL, SMALL, SMALL, LARGE), max_size=30)


@given(numbers=NUMBERS)
def test_what_is_read_is_what_was_appended(numbers: list[Fraction]) -> None:
    column = ExactColumn(numbers)
    assert list(column) == numbers
    assert column[1:3] == numbers[1:3]
    assert list(column.texts()) == [str(number) for number in numbers]
    assert column.total() == sum(numbers, Fraction(0))
    if numbers:
        scaled, common = column.scaled()
        assert [Fraction(numerator, common) for numerator in scaled] == numbers


@given(numbers=NUMBERS, more=st.one_of(SMALL, LARGE))
def test_it_is_turned_ordered_and_added_to(numbers: list[Fraction], more: Fraction) -> None:
    column = ExactColumn(numbers)
    assert list(column.negated()) == [-number for number in numbers]
    assert list(column.taken(range(len(numbers))[::-1])) == numbers[::-1]
    if numbers:
        column.add_to_last(more)
        assert list(column) == [*numbers[:-1], numbers[-1] + more]


@given(
    numbers=NUMBERS,
    numerators=st.lists(st.integers(-(10**20), 10**20), max_size=10),
    denominator=st.integers(1, 10**20),
    after=NUMBERS,
)
def test_it_is_extended_by_integers_over_one_denominator(
    *, numbers: list[Fraction], numerators: list[int], denominator: int, after: list[Fraction]
) -> None:
    column = ExactColumn(numbers)
    column.extend(numerators, denominator)
    for number in after:
        column.append(number)
    assert list(column) == [*numbers, *(Fraction(numerator, denominator) for numerator in numerators), *after]


def test_what_fits_is_held_in_eight_bytes() -> None:
    column = ExactColumn([Fraction(number, 10**6) for number in range(1000)])
    scaled, _ = column.scaled()
    assert scaled.itemsize == 8  # type: ignore[attr-defined] # an array, as long as all fits
