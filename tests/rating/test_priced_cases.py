"""Worked examples of quantities and prices: each through catalogue, usage, close and invoice, and `metergate price`."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from tests.rating.priced import Priced, invoice_all, price_all
from tests.rating.translate import CASES, fee, price, usage


def quantity(case_id: str, *, metric: str = "usage") -> dict[str, list[str]]:
    return {metric: [CASES[case_id]["input"]["quantity"]]}


def plain(case_id: str) -> Priced:
    return Priced(charges=[usage(price(case_id))], values=quantity(case_id), amount=CASES[case_id]["expected"])


PLAIN = [
    case_id
    for case_id, case in CASES.items()
    if case["family"] in {"graduated", "volume", "package"} and case_id != "grad-kb-water-1200"
]
"""A price, a quantity, an amount: nothing to say about them beyond the translation of the keys."""

STEPS_OF_KILLBILL = [
    {"up_to": 1000, "amount": "750"},
    {"up_to": 10000, "amount": "500"},
    {"up_to": None, "amount": "0"},
]
PRICED: dict[str, Priced] = {case_id: plain(case_id) for case_id in PLAIN} | {
    # The water meter has a fee of 30 beside its tiers.
    "grad-kb-water-1200": Priced(
        charges=[usage(price("grad-kb-water-1200")), fee("30")],
        values=quantity("grad-kb-water-1200"),
        amount="1930",
    ),
    # Blocks of 10 minutes, 100 of them at 1.00; megabytes one by one, 1024 of them at 0.50.
    "grad-kb-739": Priced(
        charges=[
            usage(
                {
                    "model": "graduated",
                    "tiers": [{"up_to": 100, "unit_price": 1}, {"up_to": None, "unit_price": "0.5"}],
                },
                calculator={"metric": "minutes", "convert": {"divide_by": 10, "round": "up"}},
                name="Minutes",
            ),
            usage(
                {
                    "model": "graduated",
                    "tiers": [{"up_to": 1024, "unit_price": "0.5"}, {"up_to": None, "unit_price": "0.1"}],
                },
                calculator={"metric": "mbytes"},
                name="Megabytes",
            ),
        ],
        values={"minutes": ["1500"], "mbytes": ["2048"]},
        amount="739.4",
    ),
    "vol-om-min-5": Priced(
        charges=[usage(price("vol-om-min-5"), minimum="150")], values=quantity("vol-om-min-5"), amount="150"
    ),
    # Four events that carry 800 together.
    "pct-lago-800": Priced(
        charges=[usage(price("pct-lago-800"))], values={"usage": ["200", "200", "200", "200"]}, amount="18.4"
    ),
    "pct-lago-free": Priced(
        charges=[usage(price("pct-lago-free"))],
        values={"usage": CASES["pct-lago-free"]["input"]["events"]},
        amount="0.70",
    ),
    "gradpct-lago-0": Priced(
        charges=[usage(price("gradpct-lago-0"))], values={"usage": ["0"]}, amount=CASES["gradpct-lago-0"]["expected"]
    ),
    "gradpct-lago-10": Priced(
        charges=[usage(price("gradpct-lago-10"))], values={"usage": ["10"]}, amount=CASES["gradpct-lago-10"]["expected"]
    ),
    "dyn-om": Priced(charges=[usage(price("dyn-om"))], values={"usage": ["10"]}, amount="13.33"),
    "unit-conv": Priced(
        charges=[
            usage(
                {"model": "per_unit", "unit_price": "10"}, calculator={"convert": {"divide_by": "1000", "round": "up"}}
            )
        ],
        values=quantity("unit-conv"),
        amount="20",
    ),
    # The peak of three readings.
    "cap-kb": Priced(
        charges=[
            usage({"model": "capacity", "steps": STEPS_OF_KILLBILL}, calculator={"aggregation": "max"}),
            fee("30"),
        ],
        values={"usage": ["120", "400", "80"]},
        amount="780",
    ),
    "agg-lago-count": Priced(
        charges=[usage({"model": "per_unit", "unit_price": 1}, calculator={"aggregation": "count"})],
        values={"usage": ["10", "20"]},
        amount="2",
    ),
    "agg-lago-max": Priced(
        charges=[usage({"model": "per_unit", "unit_price": 1}, calculator={"aggregation": "max"})],
        values={"usage": ["10", "20"]},
        amount="20",
    ),
    "agg-latest": Priced(
        charges=[usage({"model": "per_unit", "unit_price": 1}, calculator={"aggregation": "latest"})],
        values={"usage": ["18", "18", "18", "18", "14"]},
        amount="14",
    ),
}


@pytest.fixture(scope="module")
def invoiced(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    return invoice_all(tmp_path_factory.mktemp("cases"), PRICED)


@pytest.mark.parametrize("case_id", PRICED)
def test_the_invoice_says_what_the_source_says(invoiced: Mapping[str, str], case_id: str) -> None:
    assert Decimal(invoiced.get(case_id, "0")) == Decimal(PRICED[case_id].amount), CASES[case_id]["source"]


@pytest.mark.parametrize("case_id", PRICED)
def test_the_price_command_says_what_the_source_says(tmp_path: Path, case_id: str) -> None:
    assert price_all(tmp_path, PRICED[case_id]) == Decimal(PRICED[case_id].amount), CASES[case_id]["source"]
