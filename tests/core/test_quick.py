"""The short way to a worth gives what the long one gives, for all that it knows, and knows no more than it should."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.charges import Usage, charge_from
from billing.core.prices import Component, worth
from billing.core.prices.component import UNITS
from billing.core.quick import POSITION, quick
from billing.core.usage import UsageTotals, measure
from billing.core.valuing import value

PRICES = st.fractions(min_value=0, max_value=1000, max_denominator=10**6)


def usage(**changes: Any) -> dict[str, Any]:
    calculator = {"metric": "usage", "aggregation": "sum", "price": {"model": "per_unit", "unit_price": "2.50"}}
    return {
        "name": "Usage",
        "type": "usage",
        "vat_rate": "20",
        "calculator": calculator | changes.pop("calculator", {}),
        **changes,
    }


@given(
    unit_price=PRICES,
    included=st.one_of(st.just(Fraction(0)), PRICES),
    aggregation=st.sampled_from(["sum", "count"]),
    decimals=st.integers(0, 9),
    count=st.integers(0, 10**6),
    total=st.integers(-(10**20), 10**20),
)
def test_it_is_what_measuring_and_valuing_give(
    *, unit_price: Fraction, included: Fraction, aggregation: Any, decimals: int, count: int, total: int
) -> None:
    charge = charge_from(usage())
    assert isinstance(charge, Usage)
    price = type(charge.calculator.price)(unit_price=unit_price, included=included)  # type: ignore[call-arg, misc] # a PerUnit
    calculator = type(charge.calculator)(metric="usage", aggregation=aggregation, price=price)
    charge = Usage(name="Usage", vat_rate=Fraction(20), calculator=calculator)
    way = quick(charge, "delta", decimals)
    assert way is not None
    measured = measure(
        aggregation=aggregation,
        metric_kind="delta",
        decimals=decimals,
        totals=UsageTotals(count=count, sum=total),
        opening=None,
        closing=None,
    )
    components = value(charge, part=Fraction(1), measured=measured)
    used = way.used(count, total)
    found = way.columns([used])
    amount, charged = Fraction(found.amounts[0], found.amount_scale), Fraction(found.charged[0], found.charged_scale)
    assert Fraction(used, way.scale) == measured.quantity
    assert amount == worth(components)
    component = Component(name=UNITS, position=POSITION, quantity=charged, unit_price=unit_price, amount=amount)
    assert components == ((component,) if amount else ())


@pytest.mark.parametrize(
    "changes",
    [
        {"minimum": "5"},
        {"maximum": "5"},
        {"multiplier": "2"},
        {"discount": {"percent": "10"}},
        {"calculator": {"aggregation": "max"}},
        {"calculator": {"aggregation": "latest"}},
        {"calculator": {"recurring": True}},
        {"calculator": {"convert": {"divide_by": "1000"}}},
        {"calculator": {"price": {"model": "package", "size": "10", "price": "3"}}},
    ],
    ids=str,
)
def test_it_does_not_know_what_depends_on_more_than_a_sum(changes: dict[str, Any]) -> None:
    assert quick(charge_from(usage(**changes)), "delta", 6) is None


def test_it_does_not_know_registers_and_levels() -> None:
    assert quick(charge_from(usage()), "cumulative", 6) is None
    assert quick(charge_from(usage(calculator={"aggregation": "count"})), "gauge", 6) is None
