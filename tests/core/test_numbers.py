"""Money and quantities: rounded once, allocated from the whole, refused before they can do harm."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from billing.core.errors import Invalid
from billing.core.money import allocate, exact_sum, exact_text, format_minor, minor_digits, round_half_away, to_minor
from billing.core.quantity import Excess, number_of, parse_quantity, scale_text, unscale

fractions = st.fractions(min_value=-(10**9), max_value=10**9, max_denominator=10**6)
weights = st.dictionaries(st.text(max_size=4), fractions, min_size=1, max_size=12).map(lambda d: list(d.items()))


@pytest.mark.parametrize(
    "value,expected", [("0.5", 1), ("-0.5", -1), ("1.5", 2), ("2.5", 3), ("-2.5", -3), ("0.49", 0), ("-1/3", 0)]
)
def test_halves_round_away_from_zero(value: str, expected: int) -> None:
    assert round_half_away(Fraction(value)) == expected


@given(value=fractions)
def test_rounding_is_near_and_the_same_for_a_debit_and_its_credit(value: Fraction) -> None:
    assert abs(round_half_away(value) - value) <= Fraction(1, 2)
    assert round_half_away(-value) == -round_half_away(value)


@pytest.mark.parametrize(
    "amount,currency,expected",
    # flexprice/flexprice@e4b5303fd:internal/ee/service/billing_rounding_test.go
    [("10.275", "USD", 1028), ("1023.5", "JPY", 1024), ("1.2345", "KWD", 1235)],
)
def test_amounts_are_rounded_to_the_minor_unit(amount: str, currency: str, expected: int) -> None:
    assert to_minor(Fraction(amount), currency) == expected


def test_an_unknown_currency_is_refused() -> None:
    assert [minor_digits(code) for code in ("EUR", "JPY", "KWD", "CLF")] == [2, 0, 3, 4]
    with pytest.raises(Invalid, match="'eur'"):
        minor_digits("eur")


@pytest.mark.parametrize(
    "minor,digits,text", [(3000, 2, "30.00"), (-5, 2, "-0.05"), (0, 2, "0.00"), (1024, 0, "1024"), (-1, 3, "-0.001")]
)
def test_minor_units_as_text(minor: int, digits: int, text: str) -> None:
    assert format_minor(minor, digits) == text


@pytest.mark.parametrize("value,text", [("5/2", "2.5"), ("22/31", "22/31"), ("-1/8", "-0.125"), ("30", "30")])
def test_exact_values_as_text(value: str, text: str) -> None:
    assert exact_text(Fraction(value)) == text


@given(value=fractions)
def test_exact_text_loses_nothing(value: Fraction) -> None:
    assert Fraction(exact_text(value)) == value


@given(total=st.integers(-(10**12), 10**12), parts=weights)
def test_parts_add_up_to_the_whole_in_any_order(total: int, parts: list[tuple[str, Fraction]]) -> None:
    allocated = allocate(total, parts)
    assert sum(allocated.values()) == total
    assert allocate(total, parts[::-1]) == allocated


@given(parts=weights)
def test_parts_of_a_rounded_sum_stay_within_one_of_their_worth(parts: list[tuple[str, Fraction]]) -> None:
    total = round_half_away(sum((worth for _, worth in parts), Fraction(0)))
    allocated = allocate(total, parts)
    if {worth > 0 for _, worth in parts if worth} == {True, False}:
        assert all(abs(allocated[key] - worth) <= 1 for key, worth in parts)


@given(total=st.integers(-(10**6), 10**6), parts=weights)
def test_a_credit_mirrors_its_invoice_part_by_part(total: int, parts: list[tuple[str, Fraction]]) -> None:
    mirrored = allocate(-total, [(key, -worth) for key, worth in parts])
    assert mirrored == {key: -part for key, part in allocate(total, parts).items()}


def test_ties_go_to_the_first_key() -> None:
    assert allocate(100, [("b", Fraction(1)), ("c", Fraction(1)), ("a", Fraction(1))]) == {"a": 34, "b": 33, "c": 33}
    assert allocate(-100, [("b", Fraction(1)), ("c", Fraction(1)), ("a", Fraction(1))]) == {
        "a": -34,
        "b": -33,
        "c": -33,
    }
    assert allocate(0, []) == {}


@pytest.mark.parametrize("total,parts", [(1, []), (1, [("a", Fraction(1)), ("a", Fraction(1))])])
def test_parts_that_cannot_be_told_apart_or_are_not_there_are_refused(
    total: int, parts: list[tuple[str, Fraction]]
) -> None:
    with pytest.raises(Invalid):
        allocate(total, parts)


@pytest.mark.parametrize(
    "value,decimals,expected",
    [
        (12, 6, 12_000_000),
        ("12.5", 6, 12_500_000),
        ("0.0000005", 6, 1),
        ("-0.0000005", 6, -1),
        ("0.00000049", 6, 0),
        ("1E-999999", 6, 0),
        ("0E+999999", 6, 0),
        ("1E+11", 6, 10**17),
        ("-1E+11", 6, -(10**17)),
    ],
)
def test_a_quantity_is_scaled_and_rounded_once(value: str | int, decimals: int, expected: int) -> None:
    assert parse_quantity(Decimal(value), decimals, "round") == expected


@pytest.mark.parametrize(
    "value,excess,code",
    [
        ("NaN", "round", "invalid_quantity"),
        ("-Infinity", "round", "invalid_quantity"),
        ("1E+999999", "round", "quantity_too_large"),
        ("100000000000.000001", "round", "quantity_too_large"),
        ("0.0000005", "refuse", "excess_digits"),
        ("1E-999999", "refuse", "excess_digits"),
    ],
)
def test_a_quantity_that_cannot_be_kept_is_refused(value: str, excess: Excess, code: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_quantity(Decimal(value), 6, excess)
    assert refusal.value.code == code


def test_a_boolean_is_not_a_quantity() -> None:
    with pytest.raises(Invalid, match="True"):
        parse_quantity(True, 6, "round")


@given(scaled=st.integers(-(10**17), 10**17), decimals=st.integers(0, 9))
def test_what_was_scaled_comes_back(scaled: int, decimals: int) -> None:
    value = unscale(scaled, decimals)
    assert value * 10**decimals == scaled
    assert parse_quantity(Decimal(exact_text(value)), decimals, "refuse") == scaled


JSON_NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)


def outcome(of: Callable[[], int]) -> int | str | None:
    try:
        return of()
    except Invalid as refusal:
        return refusal.code


@given(text=JSON_NUMBERS, decimals=st.integers(0, 9), excess=st.sampled_from(["round", "refuse"]))
@example(text="-0", decimals=6, excess="refuse")
@example(text="1e-05", decimals=6, excess="refuse")
@example(text="0.0000005", decimals=6, excess="round")
@example(text="100000000000.000000", decimals=6, excess="refuse")
@example(text="100000000000.000001", decimals=6, excess="refuse")
@example(text="0.500000000000", decimals=1, excess="refuse")
def test_a_number_is_scaled_from_its_text_as_from_its_value(text: str, decimals: int, excess: Excess) -> None:
    from_its_value = outcome(lambda: parse_quantity(number_of(text), decimals, excess))
    assert outcome(lambda: scale_text(text.encode(), decimals, excess)) == from_its_value


@pytest.mark.parametrize("text", ["null", "true", '"12"', "[1]", '{"a": 1}', "", "-", "1e"])
def test_a_json_value_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="not a number"):
        scale_text(text.encode(), 6, "round")


def by_definition(total: int, weights: list[tuple[str, Fraction]]) -> dict[str, int]:
    """Largest remainder as it is defined, with a fraction for each part."""
    worths = dict(weights)
    if len({weight > 0 for weight in worths.values() if weight}) == 1:
        whole = sum(worths.values())
        worths = {key: total * weight / whole for key, weight in worths.items()}
    parts = {key: int(worth) for key, worth in worths.items()}
    rest = total - sum(parts.values())
    step = 1 if rest > 0 else -1
    order = sorted(worths, key=lambda key: (-step * (worths[key] - parts[key]), key))
    for place in range(abs(rest)):
        parts[order[place % len(order)]] += step
    return parts


@given(
    st.integers(-(10**4), 10**4),
    st.dictionaries(st.text("abc", max_size=3), st.fractions(-50, 50, max_denominator=60), min_size=1, max_size=12),
)
def test_integers_over_one_denominator_allocate_as_the_definition_does(
    total: int, weights: dict[str, Fraction]
) -> None:
    for signed in (weights, {key: abs(weight) for key, weight in weights.items()}):
        given_weights = list(signed.items())
        assert allocate(total, given_weights) == by_definition(total, given_weights)


@given(st.lists(st.fractions()))
def test_an_exact_sum_is_the_sum(values: list[Fraction]) -> None:
    assert exact_sum(values) == sum(values, Fraction(0))
