"""Many exact numbers in little memory: integers over one denominator, as the amounts of a fleet nearly all are.

The law: what is read is exactly what was appended; numbers that do not fit 64 bits so are kept one by one.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from math import gcd, lcm
from typing import overload

from billing.core.money import exact_sum


class ExactColumn(Sequence[Fraction]):
    """Exact rationals in their order, eight bytes each as long as they fit."""

    __slots__ = ("_apart", "_common", "_numerators")

    def __init__(self, values: Sequence[Fraction] = ()) -> None:
        self._numerators = array("q")
        self._common = 1
        self._apart: list[Fraction] | None = None
        for value in values:
            self.append(value)

    def append(self, value: Fraction) -> None:
        """Add a number at the end."""
        if self._apart is None:
            factor, rest = divmod(self._common, value.denominator)
            try:
                if rest:
                    factor = self._widen(value.denominator)
                self._numerators.append(value.numerator * factor)
            except OverflowError:
                self._apart = list(self)
                self._numerators = array("q")
            else:
                return
        self._apart.append(value)

    def extend(self, numerators: Sequence[int], denominator: int) -> None:
        """Add numbers at the end, integers over one denominator."""
        if self._apart is None:
            before = len(self._numerators)
            try:
                factor, rest = divmod(self._common, denominator)
                if rest:
                    factor = self._widen(denominator)
                self._numerators.extend(numerators if factor == 1 else [factor * each for each in numerators])
            except OverflowError:
                del self._numerators[before:]
            else:
                return
        for numerator in numerators:
            self.append(Fraction(numerator, denominator))

    def add_to_last(self, value: Fraction) -> None:
        """Add to the number at the end."""
        if self._apart is None:
            value += Fraction(self._numerators.pop(), self._common)
        else:
            value += self._apart.pop()
        self.append(value)

    def _widen(self, denominator: int) -> int:
        common = lcm(self._common, denominator)
        factor = common // self._common
        array("q", (common,))  # A denominator that does not fit would make every number large.
        self._numerators = array("q", (numerator * factor for numerator in self._numerators))
        self._common = common
        return common // denominator

    def total(self) -> Fraction:
        """The exact sum."""
        if self._apart is not None:
            return exact_sum(self._apart)
        return Fraction(sum(self._numerators), self._common)

    def scaled(self) -> tuple[Sequence[int], int]:
        """The numbers as integers, and the one denominator of all of them."""
        if self._apart is None:
            return self._numerators, self._common
        common = lcm(*{value.denominator for value in self._apart})
        return [value.numerator * (common // value.denominator) for value in self._apart], common

    def texts(self) -> Iterator[str]:
        """Each number as exact text: "30", "-1/3"."""
        if self._apart is not None:
            yield from map(str, self._apart)
            return
        yield from texts(self._numerators, self._common)

    def taken(self, order: Sequence[int]) -> "ExactColumn":
        """The numbers at these places, in this order."""
        found = ExactColumn()
        found._common = self._common
        if self._apart is None:
            found._numerators = array("q", (self._numerators[place] for place in order))
        else:
            found._apart = [self._apart[place] for place in order]
        return found

    def negated(self) -> "ExactColumn":
        """The numbers with their signs turned."""
        return ExactColumn([-value for value in self])

    def __len__(self) -> int:
        return len(self._numerators if self._apart is None else self._apart)

    @overload
    def __getitem__(self, place: int) -> Fraction: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Fraction]: ...
    def __getitem__(self, place: int | slice) -> Fraction | Sequence[Fraction]:
        if isinstance(place, slice):
            return [self[index] for index in range(*place.indices(len(self)))]
        return Fraction(self._numerators[place], self._common) if self._apart is None else self._apart[place]


def texts(numerators: Iterable[int], denominator: int) -> Iterator[str]:
    """Numbers, integers over one denominator, as exact text: "30", "-1/3"."""
    for numerator in numerators:
        shared = gcd(numerator, denominator)
        yield str(numerator // shared) if shared == denominator else f"{numerator // shared}/{denominator // shared}"
