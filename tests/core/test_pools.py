"""A pool's amount goes back to its objects, to the cent; a coupon comes off the lines of an invoice, to the cent."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.coupons import spread_coupon
from billing.core.errors import Invalid
from billing.core.pools import spread_pool

amounts = st.integers(-(10**9), 10**9)
quantities = st.fractions(min_value=-10, max_value=10**6, max_denominator=1000)


def test_objects_share_a_pool_by_what_they_used() -> None:
    assert spread_pool(1000, [("A", Fraction(1)), ("B", Fraction(1)), ("C", Fraction(1))]) == {
        "A": 334,
        "B": 333,
        "C": 333,
    }
    assert spread_pool(900, [("A", Fraction(2)), ("B", Fraction(0)), ("C", Fraction(1))]) == {
        "A": 600,
        "B": 0,
        "C": 300,
    }


def test_what_nobody_used_is_shared_alike() -> None:
    assert spread_pool(-5, [("A", Fraction(0)), ("B", Fraction(-3))]) == {"A": -3, "B": -2}


def test_an_amount_without_objects_is_refused() -> None:
    assert spread_pool(0, []) == {}
    with pytest.raises(Invalid):
        spread_pool(1, [])


@given(net=amounts, used=st.dictionaries(st.text(max_size=3), quantities, min_size=1, max_size=20))
def test_the_shares_add_up_to_the_pool_in_any_order(net: int, used: dict[str, Fraction]) -> None:
    shares = spread_pool(net, list(used.items()))
    assert sum(shares.values()) == net
    assert shares == spread_pool(net, list(reversed(used.items())))


@given(off=st.integers(-10, 10**6), lines=st.dictionaries(st.text(max_size=3), st.integers(0, 10**5), max_size=10))
def test_a_coupon_takes_what_there_is_and_no_more(off: int, lines: dict[str, int]) -> None:
    taken = spread_coupon(off, list(lines.items()))
    assert sum(taken.values()) == max(min(off, sum(lines.values())), 0)
    assert all(0 <= part <= lines[key] for key, part in taken.items())
