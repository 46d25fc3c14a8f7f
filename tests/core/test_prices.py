"""Price models against figures that other billing systems publish; each row names its source."""

from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.calculators import Calculator
from billing.core.charges import Recurring, Usage, charge_from
from billing.core.errors import Invalid
from billing.core.measured import Measured
from billing.core.periods import Every
from billing.core.prices import Flat, Graduated, PerUnit, Tier, rate, worth
from tests.core.entries import price_from

LAGO = "getlago/lago-api@1b1c24a6a:spec/services/charge_models/graduated_service_spec.rb"
OPENMETER = "openmeterio/openmeter@7e57a394a:openmeter/billing/rating/service/rate/tieredgraduated_test.go"
FLEXPRICE = "flexprice/flexprice@e4b5303fd:internal/ee/service/price_test.go TestCalculateCostWithBreakup_TieredSlab"
KB_ARREAR = "killbill/killbill-docs@891f5131:userguide/tutorials/consumable_in_arrear.adoc"
KB_WATER = "killbill/killbill-docs@891f5131:userguide/tutorials/catalog-examples.adoc, without its 30.00 fee"
ORACLE = "docs.oracle.com, Banking Virtual Account 14.7.5, examples of tier-based amounts"

LAGO_TIERS = [(10, "10", "2"), (20, "5", "3"), (None, "5", "3")]


def graduated(tiers: Sequence[tuple[int | str | None, str, str]], *, charge_zero: bool = True) -> Graduated:
    price = price_from(
        {
            "model": "graduated",
            "charge_zero": charge_zero,
            "tiers": [{"up_to": up_to, "unit_price": unit, "flat_fee": flat} for up_to, unit, flat in tiers],
        }
    )
    assert isinstance(price, Graduated)
    return price


def used(quantity: Fraction | int | str) -> Measured:
    return Measured(quantity=Fraction(quantity), count=1)


@pytest.mark.parametrize(
    "tiers,quantity,expected,source",
    [
        (LAGO_TIERS, "10", "102", LAGO),
        (LAGO_TIERS, "12", "115", LAGO),
        ([("0.1", "10", "0"), ("1", "5", "0"), (None, "2", "0")], "0.05", "0.5", LAGO),
        ([(5, "0", "100"), (10, "0", "50"), (15, "5", "0"), (None, "1", "0")], "22", "182", OPENMETER),
        ([(10, "50", "0"), (20, "40", "0"), (None, "30", "0")], "15", "700", FLEXPRICE),
        ([(5, "2", "0"), (None, "1", "0")], "13", "18", KB_ARREAR),
        ([(1000, "1.50", "0"), (None, "2.0", "0")], "1200", "1900", KB_WATER),
        ([(1000, "1.50", "0"), (None, "2.0", "0")], "400", "600", KB_WATER),
        ([(250, "1", "0"), (500, "2", "0"), (None, "3", "0")], "1000", "2250", ORACLE),
    ],
)
def test_a_graduated_price_agrees_with_the_published_figure(
    tiers: Sequence[tuple[int | str | None, str, str]], quantity: str, expected: str, source: str
) -> None:
    assert worth(rate(graduated(tiers), used(quantity))) == Fraction(expected), source


def test_the_first_flat_fee_at_zero_is_a_choice() -> None:
    assert worth(rate(graduated(LAGO_TIERS), used(0))) == 2, LAGO
    assert rate(graduated(LAGO_TIERS, charge_zero=False), used(0)) == ()


def test_each_tier_that_was_reached_is_a_component_of_its_own() -> None:
    components = rate(graduated(LAGO_TIERS), used(12))
    assert [(part.name, int(part.quantity), int(part.unit_price)) for part in components] == [
        ("Tier 1", 10, 10),
        ("Tier 1 flat fee", 1, 2),
        ("Tier 2", 2, 5),
        ("Tier 2 flat fee", 1, 3),
    ]
    assert [part.position for part in components] == [1, 2, 3, 4]


@pytest.mark.parametrize("quantity,expected", [("0", "0"), ("12", "30"), ("12.5", "31.25"), ("-3", "0")])
def test_a_price_per_unit(quantity: str, expected: str) -> None:
    assert worth(rate(PerUnit(unit_price=Fraction("2.50")), used(quantity))) == Fraction(expected)


def test_included_units_are_free() -> None:
    price = PerUnit(unit_price=Fraction(2), included=Fraction(10))
    assert rate(price, used(10)) == ()
    assert worth(rate(price, used(13))) == 6


def test_a_flat_price_is_due_without_usage() -> None:
    assert worth(rate(Flat(amount=Fraction(5)), used(0))) == 5


prices = st.fractions(min_value=0, max_value=1000, max_denominator=1000)
quantities = st.fractions(min_value=0, max_value=10_000, max_denominator=1000)


@st.composite
def graduated_prices(draw: st.DrawFn) -> Graduated:
    bounds = draw(
        st.lists(st.fractions(min_value=Fraction(1, 100), max_value=9000, max_denominator=100), max_size=5, unique=True)
    )
    return Graduated(
        tiers=tuple(
            Tier(up_to=up_to, unit_price=draw(prices), flat_fee=draw(prices)) for up_to in [*sorted(bounds), None]
        ),
        charge_zero=draw(st.booleans()),
    )


@given(price=graduated_prices(), one=quantities, other=quantities)
def test_more_usage_never_costs_less(price: Graduated, one: Fraction, other: Fraction) -> None:
    assert worth(rate(price, used(min(one, other)))) <= worth(rate(price, used(max(one, other))))


@given(price=graduated_prices(), quantity=quantities)
def test_the_tiers_hold_the_whole_quantity_and_each_amount_is_its_product(price: Graduated, quantity: Fraction) -> None:
    components = rate(price, used(quantity))
    assert all(part.amount == part.quantity * part.unit_price != 0 for part in components)
    if all(tier.unit_price for tier in price.tiers):
        assert sum(part.quantity for part in components if not part.name.endswith("fee")) == quantity


@pytest.mark.parametrize(
    "bounds", [(), (Fraction(5),), (None, None), (Fraction(5), Fraction(5), None), (Fraction(0), None)]
)
def test_tiers_that_do_not_rise_to_one_open_end_are_refused(bounds: tuple[Fraction | None, ...]) -> None:
    with pytest.raises(Invalid):
        Graduated(tiers=tuple(Tier(up_to=bound) for bound in bounds))


USAGE = {
    "name": "Usage",
    "type": "usage",
    "every": "month",
    "timing": "arrears",
    "vat_rate": "20",
    "calculator": {
        "metric": "usage",
        "aggregation": "sum",
        "price": {"model": "per_unit", "unit_price": "2.50", "included": "0"},
    },
}
FEE = {"name": "Fee", "type": "recurring", "every": "quarter", "timing": "advance", "amount": 9, "vat_rate": "5.5"}


def test_the_catalogue_form_of_a_usage_charge() -> None:
    assert charge_from(USAGE) == Usage(
        name="Usage",
        every=Every(months=1),
        calculator=Calculator(metric="usage", aggregation="sum", price=PerUnit(unit_price=Fraction(5, 2))),
        vat_rate=Fraction(20),
    )


def test_the_catalogue_form_of_a_fee() -> None:
    assert charge_from(FEE) == Recurring(
        name="Fee", amount=Fraction(9), every=Every(months=3), timing="advance", vat_rate=Fraction(11, 2)
    )


@pytest.mark.parametrize(
    "change,named",
    [
        ({"type": "gift"}, "type"),
        ({"every": "day"}, "every"),
        ({"every": 2}, "every"),
        ({"amount": 9.5}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": "-1"}, "amount"),
        ({"amount": "1e3"}, "amount"),
        ({"amount": None}, "amount"),
        ({"vat_rate": "101"}, "vat_rate"),
        ({"vat_rate": "0"}, "vat_category S"),
        ({"vat_category": "AE"}, "vat_rate"),
        ({"name": " "}, "name"),
        ({"prorate": "hour"}, "prorate"),
        ({"while_suspended": []}, "while_suspended"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_entry_is_refused_by_the_name_of_its_key(change: dict[str, object], named: str) -> None:
    with pytest.raises(Invalid, match=named):
        charge_from({**FEE, **change})


@pytest.mark.parametrize(
    "change,named",
    [
        ({"timing": "advance"}, "timing"),
        ({"calculator": "sum"}, "calculator"),
        ({"calculator": {"metric": "usage", "price": {"model": "magic"}}}, "model"),
        ({"calculator": {"metric": "usage", "price": {"model": "graduated", "tiers": "x"}}}, "tiers"),
        ({"calculator": {"metric": "usage", "price": {"model": "graduated", "tiers": ["x"]}}}, "tier"),
    ],
)
def test_a_wrong_calculator_is_refused_by_the_name_of_its_key(change: dict[str, object], named: str) -> None:
    with pytest.raises(Invalid, match=named):
        charge_from({**USAGE, **change})
