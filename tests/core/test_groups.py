"""Totals of sets of properties and single records say the same."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.calculators import Calculator, Filter
from billing.core.errors import Invalid
from billing.core.groups import Group, measure_groups
from billing.core.measured import Measured
from billing.core.prices import PerUnit
from billing.core.records import Record, Window, measure_records

START = datetime(2022, 4, 1, tzinfo=UTC)
END = datetime(2022, 5, 1, tzinfo=UTC)
MONTH = Window(start=START, end=END, nominal_start=START, nominal_end=END, zone=ZoneInfo("UTC"))
PROPERTIES = st.dictionaries(st.sampled_from(["zone", "card"]), st.sampled_from(["a", "b", ""]))
RECORDS = st.lists(
    st.builds(
        lambda hours, value, properties: Record(
            at=START + timedelta(hours=hours), value=Fraction(value, 4), properties=properties
        ),
        st.integers(0, 700),
        st.integers(-40, 40),
        PROPERTIES,
    ),
    max_size=12,
)
CALCULATORS = st.builds(
    lambda aggregation, by, wanted: Calculator(
        aggregation=aggregation,
        property="card" if aggregation == "unique_count" else None,
        by=by,
        filter=None if wanted is None else Filter(wanted=(("zone", (wanted,)),)),
        price=PerUnit(unit_price=Fraction(1)),
    ),
    st.sampled_from(["sum", "count", "max", "min", "mean", "unique_count"]),
    st.sampled_from([None, "zone", "card"]),
    st.sampled_from([None, "a", "c"]),
)


def grouped(records: Sequence[Record]) -> list[Group]:
    sets: dict[tuple[tuple[str, Any], ...], list[Record]] = {}
    for record in records:
        sets.setdefault(tuple(sorted(record.properties.items())), []).append(record)
    return [_group(dict(properties), found) for properties, found in sets.items()]


def _group(properties: Mapping[str, str], found: Sequence[Record]) -> Group:
    values = [record.value for record in found]
    return Group(
        properties=properties, count=len(values), total=sum(values, Fraction()), top=max(values), low=min(values)
    )


def without_values(measured: Measured) -> Measured:
    parts = tuple((value, without_values(part)) for value, part in measured.parts)
    return Measured(quantity=measured.quantity, count=measured.count, parts=parts)


@given(calculator=CALCULATORS, records=RECORDS)
def test_totals_say_what_the_records_say(calculator: Calculator, records: list[Record]) -> None:
    one_by_one = measure_records(calculator, records, MONTH)
    assert measure_groups(calculator, grouped(records)) == without_values(one_by_one)


@given(records=RECORDS)
def test_the_parts_of_a_breakdown_add_up_to_the_whole(records: list[Record]) -> None:
    by_zone = measure_groups(Calculator(by="zone", price=PerUnit(unit_price=Fraction(1))), grouped(records))
    assert sum((part.quantity for _, part in by_zone.parts), Fraction()) == by_zone.quantity


def test_what_needs_the_order_of_records_is_refused() -> None:
    with pytest.raises(Invalid, match="latest is measured from the usage records"):
        measure_groups(Calculator(aggregation="latest", price=PerUnit(unit_price=Fraction(1))), [])
