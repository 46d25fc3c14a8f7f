"""Numbers stay what they are, and a conversion rounds at most once."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.money import round_half_away
from gateway.sources.numbers import factor, number, times
from gateway.telemetry import Unreadable


@given(
    value=st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9),
    by=st.sampled_from(["1", "0.001", "1/60000", "3600", "1/3"]),
    decimals=st.integers(0, 9),
)
def test_a_conversion_is_exact_or_rounded_once(value: Decimal, by: str, decimals: int) -> None:
    exact = Fraction(value) * factor(by)
    found = times(value, factor(by), decimals=decimals, refuse_excess=False)
    assert round_half_away(Fraction(found) * 10**decimals) == round_half_away(exact * 10**decimals)
    assert Fraction(found) == exact or by.startswith("1/")


def test_a_metric_may_refuse_more_digits_than_it_has() -> None:
    with pytest.raises(Unreadable, match="more than 3 decimals"):
        times(Decimal(1), factor("1/60000"), decimals=3, refuse_excess=True)
    assert times(Decimal(60), factor("1/60000"), decimals=3, refuse_excess=True) == Decimal("0.001")


def test_a_number_may_stand_as_text_but_a_boolean_is_none() -> None:
    assert number("12.50") == Decimal("12.50")
    none: object
    for none in (True, None, "", "12,5", "0x10", "1_000", " 1", "Infinity", "\u0661", [], 1.5):
        assert number(none) is None
    for bad in ("", "-1", "0", "1/0", "1e3", "0.0", "a"):
        with pytest.raises(ValueError, match="factor"):
            factor(bad)
