"""A pool's amount goes back to its objects, to the cent; a coupon comes off the lines of an invoice, to the cent."""

from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.charges import charge_from
from billing.core.coupons import spread_coupon
from billing.core.errors import Invalid
from billing.core.invoicing import difference
from billing.core.measured import Measured
from billing.core.pools import (
    NO_PART,
    Alike,
    Part,
    parts_of_pool,
    plan_pool,
    spread_parts,
    together,
    uncovered,
    value_pool,
)
from billing.core.prices import Component, worth

amounts = st.integers(-(10**9), 10**9)
quantities = st.fractions(min_value=-10, max_value=10**6, max_denominator=1000)


def units(amount: str | Fraction, price: int = 1) -> Component:
    return Component(
        name="Units",
        position=1,
        quantity=Fraction(amount) / price,
        unit_price=Fraction(price),
        amount=Fraction(amount),
    )


def shares(net: int, used: dict[str, Fraction]) -> dict[str, int]:
    return spread_parts(net, parts_of_pool([units(Fraction(net, 100))], used, {})["Units", Fraction(1)], 100)


def test_objects_share_a_pool_by_what_they_used() -> None:
    assert shares(1000, {"A": Fraction(1), "B": Fraction(1), "C": Fraction(1)}) == {"A": 334, "B": 333, "C": 333}
    # What nobody used has no row: B is not there.
    assert shares(900, {"A": Fraction(2), "B": Fraction(0), "C": Fraction(1)}) == {"A": 600, "C": 300}


def test_what_nobody_used_is_shared_alike() -> None:
    assert shares(-5, {"A": Fraction(0), "B": Fraction(-3)}) == {"A": -3, "B": -2}


def test_an_amount_without_objects_is_refused() -> None:
    assert spread_parts(0, {}, 100) == {}
    with pytest.raises(Invalid):
        spread_parts(1, {}, 100)


def test_who_used_more_later_has_the_difference_alone() -> None:
    first = parts_of_pool([units("10")], {"A": Fraction(6), "B": Fraction(4)}, {})
    later = parts_of_pool([units("20")], {"A": Fraction(6), "B": Fraction(14)}, first)
    assert later == {("Units", Fraction(1)): {"B": Part(Fraction(10), Fraction(10))}}


@given(net=amounts, used=st.dictionaries(st.text(max_size=3), quantities, min_size=1, max_size=20))
def test_the_shares_add_up_to_the_pool_in_any_order(net: int, used: dict[str, Fraction]) -> None:
    found = shares(net, used) if net else {}
    assert sum(found.values()) == net
    assert found == (shares(net, dict(reversed(used.items()))) if net else {})


used_by_some = st.dictionaries(st.sampled_from("ABCDEF"), quantities, min_size=1, max_size=6)


@given(
    amounts_of_steps=st.lists(
        st.tuples(st.fractions(0, 10**6, max_denominator=1000), st.integers(1, 3), used_by_some), min_size=1, max_size=5
    )
)
def test_whatever_changes_the_objects_parts_add_up_to_what_the_pool_is_charged(
    amounts_of_steps: list[tuple[Fraction, int, dict[str, Fraction]]],
) -> None:
    charged: dict[Alike, dict[str, Part]] = {}
    before: tuple[Component, ...] = ()
    for amount, price, used in amounts_of_steps:
        now = (units(amount, price),) if amount else ()
        parts = parts_of_pool(now, used, charged)
        for component in difference(now, before):
            alike = (component.name, component.unit_price)
            assert sum(part.amount for part in parts[alike].values()) == component.amount
            assert sum(part.quantity for part in parts[alike].values()) == component.quantity
        for alike, found in parts.items():
            for reference, part in found.items():
                was = charged.setdefault(alike, {}).get(reference, NO_PART)
                charged[alike][reference] = Part(was.quantity + part.quantity, was.amount + part.amount)
        before = now


DAY_ONE = date(2022, 1, 1)
spans = st.lists(
    st.tuples(st.integers(0, 500), st.integers(1, 400)).map(
        lambda it: (DAY_ONE + timedelta(it[0]), DAY_ONE + timedelta(it[0] + it[1]))
    ),
    min_size=1,
    max_size=6,
)


@given(
    spans=spans,
    every=st.sampled_from(["week", "month", "quarter", "year"]),
    anchor=st.sampled_from(["calendar", "anniversary"]),
)
def test_a_pool_has_the_days_of_its_items_each_once(spans: list[tuple[date, date]], every: str, anchor: str) -> None:
    fee = charge_from(
        {"name": "F", "type": "recurring", "amount": "1", "vat_rate": "20", "every": every, "anchor": anchor}
    )
    planned = plan_pool(fee, spans, DAY_ONE)
    served = []
    for it in planned:
        free = {day for span in uncovered(it.period, spans) for day in days(span)}
        assert it.due_on == it.period.ends_on - timedelta(1)
        assert it.period.nominal_starts_on <= it.period.starts_on < it.period.ends_on <= it.period.nominal_ends_on
        served += [day for day in days((it.period.starts_on, it.period.ends_on)) if day not in free]
    assert served == sorted({day for span in spans for day in days(span)})


def days(span: tuple[date, date]) -> list[date]:
    return [span[0] + timedelta(n) for n in range((span[1] - span[0]).days)]


def test_in_advance_a_pool_pays_at_once_where_nothing_came_before() -> None:
    fee = charge_from({"name": "F", "type": "recurring", "amount": "1", "vat_rate": "20", "timing": "advance"})
    both = [(date(2022, 1, 10), date(2022, 2, 20)), (date(2022, 4, 1), date(2022, 4, 30))]
    assert [it.due_on for it in plan_pool(fee, both, DAY_ONE)] == [
        date(2022, 1, 10),
        date(2022, 1, 31),
        date(2022, 4, 1),
    ]


@given(
    items=st.lists(st.integers(0, 100), min_size=1, max_size=20),
    included=st.integers(0, 50),
)
def test_what_each_item_brings_in_is_the_pools(items: list[int], included: int) -> None:
    price = {"model": "per_unit", "unit_price": "1", "included": str(included)}
    entry = {"name": "U", "type": "usage", "scope": "subscription", "vat_rate": "20", "limits": "item"}
    charge = charge_from({**entry, "calculator": {"metric": "usage", "price": price}})
    measured = together(Measured(quantity=Fraction(used)) for used in items)
    found = value_pool(charge, part=Fraction(1), measured=measured, items=Fraction(len(items)), number=1)
    assert worth(found) == max(sum(items) - included * len(items), 0)


@given(off=st.integers(-10, 10**6), lines=st.dictionaries(st.text(max_size=3), st.integers(0, 10**5), max_size=10))
def test_a_coupon_takes_what_there_is_and_no_more(off: int, lines: dict[str, int]) -> None:
    taken = spread_coupon(off, list(lines.items()))
    assert sum(taken.values()) == max(min(off, sum(lines.values())), 0)
    assert all(0 <= part <= lines[key] for key, part in taken.items())
