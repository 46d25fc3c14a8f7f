"""A charge as the catalogue declares it: read, written out whole, and read again the same."""

from datetime import date
from fractions import Fraction
from typing import Any

import pytest

from billing.core.charges import Charge, charge_from, charge_problems, definition_of
from billing.core.conversion import Convert
from billing.core.errors import Invalid
from billing.core.invoicing import difference
from billing.core.measured import Measured
from billing.core.prices import worth
from billing.core.schedules import plan_schedules
from billing.core.valuing import value

PER_UNIT = {"model": "per_unit", "unit_price": "1.5"}
CHARGES: dict[str, dict[str, Any]] = {
    "one time": {"type": "one_time", "amount": 90},
    "weekly": {"type": "recurring", "amount": "7", "every": "week", "timing": "advance", "anchor": "anniversary"},
    "months as a number": {"type": "recurring", "amount": "7", "every": 3, "trial_days": 14, "prorate": "second"},
    "bounded": {
        "type": "recurring",
        "amount": "7",
        "minimum": 5,
        "maximum": "9.5",
        "multiplier": "0.9",
        "discount": {"percent": "12.5", "periods": 3},
    },
    "event": {"type": "event", "event": "suspended", "price": PER_UNIT},
    "converted": {
        "type": "usage",
        "scope": "contract",
        "calculator": {"metric": "bytes", "convert": {"divide_by": 1000, "round": "up"}, "price": PER_UNIT},
    },
    "by zone": {
        "type": "usage",
        "calculator": {
            "filter": {"direction": "out", "band": [2, 1]},
            "by": "zone",
            "prices": {"night": {"model": "flat", "amount": "2"}, "default": PER_UNIT},
        },
    },
    "unique": {
        "type": "usage",
        "calculator": {"aggregation": "unique_count", "property": "card", "recurring": True, "price": PER_UNIT},
    },
    "bandwidth": {
        "type": "usage",
        "calculator": {"aggregation": "percentile", "percentile": "95", "price": PER_UNIT},
    },
    "transactions": {
        "type": "usage",
        "calculator": {"price": {"model": "percentage", "rate": "1.3", "free_events": 3, "free_total": "250"}},
    },
    "tiers": {
        "type": "usage",
        "calculator": {"price": {"model": "volume", "tiers": [{"up_to": 5, "flat_fee": 1}, {"up_to": None}]}},
    },
}


def charge(**keys: Any) -> Charge:
    return charge_from({"name": "C", "vat_rate": "20", **keys})


@pytest.mark.parametrize("keys", CHARGES.values(), ids=CHARGES.keys())
def test_a_charge_is_stored_with_every_default_and_comes_back_the_same(keys: dict[str, Any]) -> None:
    read = charge(**keys)
    stored = definition_of(read)
    assert charge_from(stored) == read
    assert definition_of(charge_from(stored)) == stored
    assert stored["multiplier"] in {"1", "0.9"}


@pytest.mark.parametrize(
    "keys,place",
    [
        ({"type": "recurring", "amount": 1, "every": "day"}, "every"),
        ({"type": "recurring", "amount": 1, "every": True}, "every"),
        ({"type": "recurring", "amount": 1, "minimum": 3, "maximum": 2}, ""),
        ({"type": "recurring", "amount": 1, "discount": {}}, "discount"),
        ({"type": "recurring", "amount": 1, "discount": {"percent": 101}}, "discount"),
        ({"type": "recurring", "amount": 1, "discount": {"amount": 1, "periods": 0}}, "discount"),
        ({"type": "recurring", "amount": 1, "trial_days": 4000}, ""),
        ({"type": "recurring", "amount": 1, "scope": "fleet"}, "scope"),
        ({"type": "one_time", "amount": 1, "every": "month"}, "every"),
        ({"type": "event", "price": PER_UNIT}, "event"),
        ({"type": "usage", "metric": "m", "calculator": {"price": PER_UNIT}}, "metric"),
        ({"type": "usage", "calculator": {}}, "calculator"),
        ({"type": "usage", "calculator": {"price": PER_UNIT, "prices": {"a": PER_UNIT}, "by": "z"}}, "calculator"),
        ({"type": "usage", "calculator": {"prices": {"a": PER_UNIT}}}, "calculator"),
        ({"type": "usage", "calculator": {"by": "z", "prices": {"a": {"model": "flat"}}}}, "calculator.prices"),
        ({"type": "usage", "calculator": {"by": "z", "prices": {}}}, "calculator.prices"),
        ({"type": "usage", "calculator": {"price": PER_UNIT, "filter": {"a": 1.5}}}, "calculator.filter"),
        ({"type": "usage", "calculator": {"price": PER_UNIT, "filter": []}}, "calculator.filter"),
        ({"type": "usage", "calculator": {"price": PER_UNIT, "property": "x"}}, "calculator"),
        ({"type": "usage", "calculator": {"price": PER_UNIT, "aggregation": "unique_count"}}, "calculator"),
        ({"type": "usage", "calculator": {"price": PER_UNIT, "percentile": 95}}, "calculator"),
        ({"type": "usage", "calculator": {"price": PER_UNIT, "aggregation": "max", "recurring": True}}, "calculator"),
        ({"type": "usage", "calculator": {"price": PER_UNIT, "convert": {"divide_by": 0}}}, "calculator.convert"),
        (
            {"type": "usage", "calculator": {"convert": {"divide_by": 2}, "price": {"model": "dynamic"}}},
            "calculator",
        ),
        (
            {"type": "usage", "calculator": {"price": {"model": "volume", "tiers": [{"up_to": 1.5}, {"up_to": None}]}}},
            "calculator.price.tiers[0].up_to",
        ),
    ],
)
def test_what_is_not_understood_is_refused_at_its_place(keys: dict[str, Any], place: str) -> None:
    read, problems = charge_problems({"name": "C", "vat_rate": "20", **keys})
    assert read is None
    assert [where for where, _ in problems] == [place]


def test_a_key_in_the_wrong_place_is_told_its_right_one() -> None:
    with pytest.raises(Invalid, match="write charge_zero in the price"):
        charge(type="usage", charge_zero=False, calculator={"price": PER_UNIT})
    with pytest.raises(Invalid, match="write minimum beside the calculator"):
        charge(type="usage", calculator={"price": PER_UNIT, "minimum": 5})


def test_every_problem_of_a_charge_is_told_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        charge_from({"type": "recurring", "amount": 1.5, "colour": "red", "timing": "later"})
    for named in ("colour", "amount", "timing", "name", "vat_rate"):
        assert named in caught.value.message


@pytest.mark.parametrize(
    "rounding,quantity,expected",
    [
        ("up", "1400", "2"),
        ("up", "2000", "2"),
        ("down", "1999", "1"),
        ("half_up", "1500", "2"),
        ("half_up", "1499", "1"),
        ("none", "1400", "1.4"),
    ],
)
def test_units_are_converted_before_they_are_priced(rounding: str, quantity: str, expected: str) -> None:
    priced = charge(
        type="usage",
        calculator={
            "convert": {"divide_by": 1000, "round": rounding},
            "price": {"model": "per_unit", "unit_price": "10"},
        },
    )
    components = value(priced, part=Fraction(1), measured=Measured(quantity=Fraction(quantity)))
    assert worth(components) == 10 * Fraction(expected)


def test_whatever_the_discount_a_period_costs_no_less_than_its_minimum() -> None:
    bounded = charge(type="recurring", amount=100, discount={"percent": 90}, minimum=50)
    assert worth(value(bounded, part=Fraction(1))) == 50
    assert worth(value(bounded, part=Fraction(1, 2))) == 25


def test_a_fixed_discount_never_gives_money_back() -> None:
    assert worth(value(charge(type="recurring", amount=10, discount={"amount": 15}), part=Fraction(1))) == 0


def test_a_multiplier_changes_the_prices() -> None:
    (component,) = value(charge(type="recurring", amount=10, multiplier="1.1"), part=Fraction(1, 2))
    assert (component.quantity, component.unit_price, component.amount) == (
        Fraction(1, 2),
        Fraction(11),
        Fraction("5.5"),
    )
    assert value(charge(type="recurring", amount=10, multiplier=0), part=Fraction(1)) == ()


def test_what_was_billed_before_is_taken_from_what_a_period_is_worth() -> None:
    package = {"price": {"model": "package", "size": 10, "price": 15}}
    capped = charge(type="usage", maximum=100, calculator=package)
    first = value(capped, part=Fraction(1), measured=Measured(quantity=Fraction(60)))
    whole = value(capped, part=Fraction(1), measured=Measured(quantity=Fraction(110)))
    rest = difference(whole, first)
    assert worth(first) == 90
    assert worth(rest) == 10
    assert [(it.name, int(it.quantity)) for it in rest] == [("Packages", 5), ("Maximum", -65)]


def due(**keys: Any) -> list[tuple[str, str, str]]:
    planned = plan_schedules([charge(**keys)], date(2024, 3, 4), date(2024, 6, 4))
    return [(str(it.period.starts_on), str(it.period.ends_on), str(it.due_on)) for it in planned]


def test_a_one_time_charge_is_due_on_the_first_day() -> None:
    assert due(type="one_time", amount=5) == [("2024-03-04", "2024-03-05", "2024-03-04")]


def test_a_trial_leaves_its_days_without_a_schedule() -> None:
    monthly = {"type": "recurring", "amount": 5, "timing": "advance"}
    assert due(**monthly, trial_days=7)[0] == ("2024-03-11", "2024-04-01", "2024-03-11")
    assert due(**monthly, trial_days=28)[0] == ("2024-04-01", "2024-05-01", "2024-04-01")
    assert due(**monthly, trial_days=400) == []


def test_weeks_begin_on_monday_or_on_the_first_day() -> None:
    weekly = {"type": "recurring", "amount": 7, "every": "week"}
    planned = plan_schedules([charge(**weekly)], date(2023, 6, 15), date(2023, 6, 30))
    assert [(it.period.days, it.period.nominal_days) for it in planned] == [(4, 7), (7, 7), (4, 7)]
    own = plan_schedules([charge(**weekly, anchor="anniversary")], date(2023, 6, 15), date(2023, 6, 30))
    assert [it.period.days for it in own] == [7, 7, 1]


def test_a_record_and_what_takes_it_back_are_converted_to_nothing() -> None:
    convert = Convert(divide_by=Fraction(60), round="up", per="record")
    assert [convert.apply_to_record(Fraction(value)) for value in (61, -61, 0, 60)] == [2, -2, 0, 1]
    carried = {"aggregation": "weighted_mean", "convert": {"divide_by": 60, "per": "record"}}
    price = {"model": "per_unit", "unit_price": "1"}
    with pytest.raises(Invalid, match="converted per period"):
        charge_from({"name": "U", "type": "usage", "vat_rate": "20", "calculator": {**carried, "price": price}})
