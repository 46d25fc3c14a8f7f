"""Aggregations over single usage records: a table for each, and what must hold for all of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.calculators import Calculator
from billing.core.charges import Prorate
from billing.core.errors import Invalid
from billing.core.measured import Measured
from billing.core.reading import read
from billing.core.records import Record, Window, measure_records, once

PRICE = {"model": "per_unit", "unit_price": 1}
START, END = datetime(2022, 4, 1, tzinfo=UTC), datetime(2022, 5, 1, tzinfo=UTC)
APRIL = Window(start=START, end=END, nominal_start=START, nominal_end=END, zone=ZoneInfo("UTC"))


def at(day: float, value: str | int = 1, **properties: Any) -> Record:
    """A record so many days after the first of April."""
    return Record(at=START + timedelta(days=day), value=Fraction(value), properties=properties)


def measured(entry: dict[str, Any], *records: Record, window: Window = APRIL, prorate: Prorate = "day") -> Measured:
    calculator = read(Calculator, {"price": PRICE, **entry})
    return measure_records(calculator, records, window, prorate=prorate)


@pytest.mark.parametrize(
    "entry,records,expected",
    [
        ({}, [at(0, 2), at(29.99, 3), at(30, 100), at(-0.01, 100)], "5"),
        ({}, [at(1, 2), at(2, -3)], "-1"),
        ({"aggregation": "count"}, [at(0, 0), at(5, 7)], "2"),
        ({"aggregation": "max"}, [at(1, 4), at(2, 9), at(3, 5)], "9"),
        ({"aggregation": "max"}, [at(1, -4)], "-4"),
        ({"aggregation": "min"}, [at(1, 4), at(2, 2), at(3, 5)], "2"),
        ({"aggregation": "mean"}, [at(1, 4), at(2, 2), at(3, 5)], "11/3"),
        ({"aggregation": "latest"}, [at(2, 2), at(1, 9)], "2"),
        ({"aggregation": "latest"}, [at(2, -2)], "0"),
        ({"aggregation": "unique_count", "property": "card"}, [at(1, card="a"), at(2, card="b"), at(3, card="a")], "2"),
        ({"aggregation": "unique_count", "property": "card"}, [at(1, card=7), at(2, card="7"), at(3)], "1"),
        ({"aggregation": "percentile"}, [at(n / 10, n) for n in range(1, 101)], "95"),
        ({"aggregation": "percentile"}, [at(n / 10, n) for n in range(1, 21)], "19"),
        ({"aggregation": "percentile", "percentile": 100}, [at(1, 4), at(2, 9)], "9"),
        ({"aggregation": "percentile", "percentile": 50}, [at(1, 4), at(2, 9), at(3, 5)], "5"),
        ({"aggregation": "weighted_sum"}, [at(-5, 10), at(15, 10)], "15"),
        ({"aggregation": "weighted_sum"}, [at(10, 3), at(20, -3)], "1"),
        ({"aggregation": "weighted_mean"}, [at(-9, 50), at(-5, 10), at(15, 20)], "15"),
        ({"aggregation": "weighted_mean"}, [at(15, 20)], "10"),
        ({"recurring": True}, [at(-5, 10), at(15.5, 10)], "15"),
        ({"recurring": True}, [at(10, 3), at(10.9, -3)], "0"),
        (
            {"aggregation": "unique_count", "property": "card", "recurring": True},
            [at(-5, card="a"), at(2, 0, card="a"), at(27, card="b"), at(28, card="a")],
            "8/30",  # a on the first 3 days and the last 2, b on the last 3
        ),
        (
            {"aggregation": "unique_count", "property": "card", "recurring": True},
            [at(5, card="a"), at(5.1, 0, card="a"), at(5.2, card="a"), at(5.3, 0, card="a")],
            "1/30",
        ),
        ({"filter": {"zone": ["a", 1]}}, [at(1, 2, zone="a"), at(1, 3, zone=1), at(1, 5, zone="b"), at(1, 7)], "5"),
        ({"filter": {"on": "true"}}, [at(1, 2, on=True), at(1, 3, on=False)], "2"),
    ],
)
def test_what_is_measured(entry: dict[str, Any], records: list[Record], expected: str) -> None:
    assert measured(entry, *records).quantity == Fraction(expected)
    assert measured(entry, *reversed(records)).quantity == Fraction(expected)


@pytest.mark.parametrize("aggregation", ["sum", "max", "min", "mean", "latest", "percentile", "weighted_mean"])
def test_nothing_is_zero(aggregation: str) -> None:
    assert measured({"aggregation": aggregation}) == Measured(quantity=Fraction(0), count=0, values=())


@pytest.mark.parametrize("prorate,expected", [("day", "126/30"), ("second", "2884/720"), ("none", "7"), ("full", "7")])
def test_what_is_held_for_a_part_counts_as_the_charge_is_prorated(prorate: Prorate, expected: str) -> None:
    """7 from 13 April, 20:00: 18 days of 30, or 412 hours of 720."""
    held = replace(at(0, 7), at=START + timedelta(days=12, hours=20))
    assert measured({"recurring": True}, held, prorate=prorate).quantity == Fraction(expected)


def test_a_level_outside_the_service_counts_as_none() -> None:
    half = replace(APRIL, start=START + timedelta(days=15))
    assert measured({"aggregation": "weighted_mean"}, at(-1, 20), window=half).quantity == 10
    assert measured({"aggregation": "weighted_mean"}, at(-1, 20), window=half, prorate="none").quantity == 20


def test_a_month_with_an_hour_less_weighs_its_real_seconds() -> None:
    paris = ZoneInfo("Europe/Paris")
    start, end = datetime(2022, 3, 1, tzinfo=paris), datetime(2022, 4, 1, tzinfo=paris)
    march = Window(start=start, end=end, nominal_start=start, nominal_end=end, zone=paris)
    day_of_change = datetime(2022, 3, 27, tzinfo=paris)
    events = [
        Record(at=day_of_change, value=Fraction(743)),
        Record(at=datetime(2022, 3, 28, tzinfo=paris), value=Fraction(0)),
    ]
    assert measured({"aggregation": "weighted_mean"}, *events, window=march).quantity == 23


def test_each_value_of_a_property_is_measured_on_its_own() -> None:
    found = measured({"by": "zone", "aggregation": "max"}, at(1, 4, zone="b"), at(2, 9, zone="a"), at(3, 5, zone="b"))
    assert [(name, int(part.quantity), part.count) for name, part in found.parts] == [("a", 9, 1), ("b", 5, 2)]


def test_an_id_counts_once_and_never_with_another_content() -> None:
    first = Record(at=START, value=Fraction(1), id="a")
    assert once([first, first, at(1)]) == [first, at(1)]
    with pytest.raises(Invalid, match="'a' stands twice"):
        once([first, replace(first, value=Fraction(2))])


values = st.fractions(min_value=0, max_value=1000, max_denominator=100)
days = st.integers(-30 * 86400, 60 * 86400).map(lambda seconds: seconds / 86400)


@given(records=st.lists(st.tuples(days, values), max_size=10), cut=st.integers(0, 30))
def test_a_record_is_in_exactly_one_period(records: list[tuple[float, Fraction]], cut: int) -> None:
    known = [replace(at(day), value=value) for day, value in records]
    middle = START + timedelta(days=cut)
    parts = [replace(APRIL, end=middle), replace(APRIL, start=middle)]
    whole = measured({}, *known)
    assert whole.quantity == sum(measured({}, *known, window=part).quantity for part in parts)
    assert whole.count == sum(measured({}, *known, window=part).count for part in parts)


@given(records=st.lists(st.tuples(days, values), max_size=10), cut=st.integers(0, 30))
def test_a_level_is_carried_over_the_end_of_a_period(records: list[tuple[float, Fraction]], cut: int) -> None:
    known = [replace(at(day), value=value) for day, value in records]
    middle = START + timedelta(days=cut)
    parts = [replace(APRIL, end=middle), replace(APRIL, start=middle)]
    for entry in ({"aggregation": "weighted_sum"}, {"recurring": True}):
        whole = measured(entry, *known).quantity
        assert whole == sum(measured(entry, *known, window=part).quantity for part in parts)


@given(value=values, cuts=st.lists(st.fractions(min_value=0, max_value=1, max_denominator=20), max_size=5))
def test_splitting_usage_over_messages_changes_no_sum(value: Fraction, cuts: list[Fraction]) -> None:
    bounds = [Fraction(0), *sorted(cuts), Fraction(1)]
    pieces = [replace(at(n), value=value * (upper - lower)) for n, (lower, upper) in enumerate(pairwise(bounds))]
    assert measured({}, *pieces).quantity == value
