"""Each price model against figures that other billing systems publish; each row names its source."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.errors import Invalid
from billing.core.measured import Measured
from billing.core.prices import rate, unit_of, worth
from tests.core.entries import price_from

LAGO = "getlago/lago-api:spec/services/charge_models"
LAGO_VOLUME = "getlago/lago-api@1b1c24a6a:spec/services/charge_models/volume_service_spec.rb"
LAGO_PACKAGE = "getlago/lago-api@1b1c24a6a:spec/services/charge_models/package_service_spec.rb"
LAGO_PERCENTAGE = "getlago/lago-api@1b1c24a6a:spec/services/charge_models/percentage_service_spec.rb"
LAGO_DOCS = "getlago/lago-docs@502a9e785:docs/guide/05_plans/charges/price-models"
OPENMETER = "openmeterio/openmeter@7e57a394a:openmeter/billing/rating/service/rate"
FLEXPRICE = "flexprice/flexprice@e4b5303fd:internal/ee/service/price_test.go"
KILLBILL = "killbill/killbill-docs@891f5131:userguide/tutorials/catalog-examples.adoc"


def volume(*tiers: tuple[Any, str, str]) -> dict[str, Any]:
    return {
        "model": "volume",
        "tiers": [{"up_to": up_to, "unit_price": unit, "flat_fee": flat} for up_to, unit, flat in tiers],
    }


VOLUME_LAGO = volume((100, "2", "10"), (200, "1", "0"), (None, "0.5", "50"))
VOLUME_OPENMETER = volume((5, "0", "100"), (10, "0", "150"), (15, "10", "0"), (None, "5", "0"))
STAIRS = {
    "model": "stairstep",
    "steps": [{"up_to": 10, "amount": "20"}, {"up_to": 50, "amount": "70"}, {"up_to": None, "amount": "200"}],
}
PEAK = {
    "model": "capacity",
    "steps": [{"up_to": 1000, "amount": "750"}, {"up_to": 10000, "amount": "500"}, {"up_to": None, "amount": "400"}],
}
PACKAGE = {"model": "package", "size": 10, "price": "100"}
GRADUATED_PERCENTAGE = {
    "model": "graduated_percentage",
    "tiers": [
        {"up_to": 10, "rate": "1", "flat_fee": "200"},
        {"up_to": 20, "rate": "2", "flat_fee": "300"},
        {"up_to": None, "rate": "3", "flat_fee": "400"},
    ],
}


@pytest.mark.parametrize(
    "entry,quantity,expected,source",
    [
        (VOLUME_LAGO, "1", "12", LAGO_VOLUME),
        (VOLUME_LAGO, "100", "210", LAGO_VOLUME),
        (VOLUME_LAGO, "100.5", "100.5", LAGO_VOLUME),
        (VOLUME_LAGO, "200", "200", LAGO_VOLUME),
        (VOLUME_LAGO, "300", "200", LAGO_VOLUME),
        (VOLUME_OPENMETER, "0", "100", f"{OPENMETER}/tieredvolume_test.go"),
        ({**VOLUME_OPENMETER, "charge_zero": False}, "0", "0", "the same, by choice"),
        (VOLUME_OPENMETER, "15", "150", f"{OPENMETER}/tieredvolume_test.go"),
        (VOLUME_OPENMETER, "16", "80", f"{OPENMETER}/tieredvolume_test.go"),
        (STAIRS, "0.5", "20", "the first step, however little"),
        (STAIRS, "10", "20", "a bound is in the step that ends there"),
        (STAIRS, "10.000001", "70", "and what is above it in the next"),
        (STAIRS, "1000", "200", "the open step"),
        (STAIRS, "0", "20", "the first step begins at zero"),
        ({**STAIRS, "charge_zero": False}, "0", "0", "the same, by choice"),
        (PEAK, "400", "750", KILLBILL),
        (PEAK, "1200", "500", KILLBILL),
        (PACKAGE, "121", "1300", LAGO_PACKAGE),
        ({**PACKAGE, "free_units": 200}, "121", "0", LAGO_PACKAGE),
        ({**PACKAGE, "free_units": 100}, "121", "300", "21 units above the free ones"),
        ({**PACKAGE, "round": "down"}, "129", "1200", "only full packages"),
        (PACKAGE, "0", "0", FLEXPRICE),
        ({"model": "package", "size": 100, "price": "1"}, "101", "2", FLEXPRICE),
        ({"model": "package", "size": "0.5", "price": "1"}, "1.2", "3", "a size may be a decimal"),
        (GRADUATED_PERCENTAGE, "0", "200", f"{LAGO}/graduated_percentage_service_spec.rb"),
        ({**GRADUATED_PERCENTAGE, "charge_zero": False}, "0", "0", "the same, by choice"),
        (GRADUATED_PERCENTAGE, "10", "200.1", f"{LAGO}/graduated_percentage_service_spec.rb"),
        (GRADUATED_PERCENTAGE, "20", "500.3", f"{LAGO}/graduated_percentage_service_spec.rb"),
        ({"model": "dynamic", "multiplier": "1.33333"}, "10", "13.3333", f"{OPENMETER}/dynamic_test.go"),
        ({"model": "dynamic", "markup": "20"}, "10", "12", "cost plus 20 percent"),
        ({"model": "dynamic"}, "10", "10", "passed through"),
        ({"model": "percentage", "rate": "2.9"}, "4", "0.116", LAGO_PERCENTAGE),
    ],
)
def test_a_price_agrees_with_the_published_figure(
    entry: dict[str, Any], quantity: str, expected: str, source: str
) -> None:
    measured = Measured(quantity=Fraction(quantity), count=1)
    assert worth(rate(price_from(entry), measured)) == Fraction(expected), source


def events(*values: str) -> Measured:
    amounts = tuple(Fraction(value) for value in values)
    return Measured(quantity=sum(amounts, Fraction(0)), count=len(amounts), values=amounts)


FREE = {"rate": "1.3", "fixed_fee": "2"}
BOUNDED = {"rate": "2.99", "minimum": "1.75", "maximum": "12"}


@pytest.mark.parametrize(
    "keys,values,expected,source",
    [
        ({"rate": "1.3", "fixed_fee": "2"}, ("200", "200", "200", "200"), "18.4", LAGO_PERCENTAGE),
        ({**FREE, "free_events": 3, "free_total": "250"}, ("50", "100", "250", "400"), "11.15", LAGO_PERCENTAGE),
        ({**FREE, "free_total": "250"}, ("50", "100", "250", "400"), "11.15", LAGO_PERCENTAGE),
        ({**FREE, "free_events": 3}, ("50", "100", "250", "400"), "7.2", LAGO_PERCENTAGE),
        ({**FREE, "free_events": 3, "free_total": "500"}, ("50", "100", "250", "400"), "7.2", LAGO_PERCENTAGE),
        ({**FREE, "free_events": 5}, ("50", "100", "250"), "0", LAGO_PERCENTAGE),
        (
            {"rate": "1.2", "fixed_fee": "0.10", "free_events": 3, "free_total": "500"},
            ("200", "100", "100", "50"),
            "0.70",
            f"{LAGO_DOCS}/percentage.md",
        ),
        (BOUNDED, ("10", "80", "10000"), "16.142", LAGO_PERCENTAGE),
        ({**BOUNDED, "fixed_fee": "2"}, ("10", "80", "10000"), "18.691", LAGO_PERCENTAGE),
        ({**BOUNDED, "free_events": 2}, ("10", "80", "10000"), "12", LAGO_PERCENTAGE),
        ({**BOUNDED, "free_total": "30"}, ("10", "80", "10000"), "13.794", LAGO_PERCENTAGE),
        ({**BOUNDED, "free_events": 3, "free_total": "10000"}, ("10", "80", "10000"), "2.691", LAGO_PERCENTAGE),
        ({**FREE, "free_total": "100"}, ("100", "0", "50"), "2.65", "an event that only reaches the total is free"),
        ({**FREE, "free_total": "100"}, ("150", "0"), "4.65", "once it is passed, every event has its fee"),
    ],
)
def test_a_percentage_of_what_events_carry(
    keys: dict[str, Any], values: tuple[str, ...], expected: str, source: str
) -> None:
    price = price_from({"model": "percentage", **keys})
    assert worth(rate(price, events(*values))) == Fraction(expected), source


def test_a_percentage_that_looks_at_each_event_says_so_when_there_are_none() -> None:
    price = price_from({"model": "percentage", "rate": "1", "maximum": "2"})
    with pytest.raises(Invalid, match="give the events"):
        rate(price, Measured(quantity=Fraction(100), count=4))


def test_every_line_is_its_quantity_at_its_unit_price() -> None:
    components = rate(price_from({"model": "percentage", **BOUNDED, "fixed_fee": "2"}), events("10", "80", "10000"))
    assert [(it.name, unit_of(it.name)) for it in components] == [
        ("Percentage", "metric"),
        ("Fixed fee", "event"),
        ("Minimum and maximum per event", "amount"),
    ]
    assert all(it.amount == it.quantity * it.unit_price for it in components)


@pytest.mark.parametrize(
    "entry,named",
    [
        ({"model": "volume", "tiers": [{"up_to": 5, "unit_price": "1"}]}, "up_to: null"),
        ({"model": "volume", "tiers": []}, "1 to 100"),
        ({"model": "stairstep", "steps": [{"up_to": 5, "amount": "1"}, {"up_to": 5, "amount": "1"}]}, "steps|step"),
        ({"model": "package", "size": 0, "price": "1"}, "size"),
        ({"model": "package", "size": 1, "price": "1", "round": "half_up"}, "round"),
        ({"model": "percentage", "rate": "1", "minimum": "3", "maximum": "2"}, "minimum"),
        ({"model": "percentage", "rate": "1", "free_events": "1.5"}, "free_events"),
        ({"model": "dynamic", "multiplier": "2", "markup": "3"}, "keep one"),
        ({"model": "dynamic", "multiplier": "-2"}, "multiplier"),
        ({"model": "capacity", "tiers": []}, "tiers"),
        ({"model": "per_unit", "unit_price": 2.5}, "unit_price"),
        ({"model": ["flat"]}, "model"),
        ({}, "model"),
        ("flat", "model"),
    ],
)
def test_a_price_that_is_not_understood_is_refused_by_its_key(entry: Any, named: str) -> None:
    with pytest.raises(Invalid, match=named):
        price_from(entry)


amounts = st.lists(st.fractions(min_value=0, max_value=1000, max_denominator=100), max_size=8)


@given(values=amounts, free_events=st.integers(0, 4), free_total=st.integers(0, 800))
def test_what_is_free_makes_a_percentage_only_cheaper(
    values: list[Fraction], free_events: int, free_total: int
) -> None:
    keys = {"model": "percentage", "rate": "2", "fixed_fee": "1", "maximum": "10"}
    free = price_from({**keys, "free_events": free_events, "free_total": free_total})
    measured = Measured(quantity=sum(values, Fraction(0)), count=len(values), values=tuple(values))
    assert 0 <= worth(rate(free, measured)) <= worth(rate(price_from(keys), measured))


@given(
    values=amounts,
    more=st.fractions(min_value=0, max_value=1000, max_denominator=100),
    free_total=st.integers(0, 800),
)
def test_one_more_event_never_costs_less(values: list[Fraction], more: Fraction, free_total: int) -> None:
    price = price_from({"model": "percentage", "rate": "2", "fixed_fee": "1", "minimum": "3", "free_total": free_total})
    before, after = (
        worth(rate(price, Measured(quantity=Fraction(0), count=len(found), values=tuple(found))))
        for found in (values, [*values, more])
    )
    assert before <= after
