"""Worked examples of public tariffs and of other billing systems' pages: on an invoice, and through `metergate price`.

The numbers are the sources'; where a page gives prices only, its rule is worked out beside the case.
"""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.rating.priced import Priced, invoice_all, price_all
from tests.rating.translate import fee, usage

Tier = tuple[int | None, str] | tuple[int | None, str, str]


def tiers(*rows: Tier) -> list[dict[str, Any]]:
    return [{"up_to": row[0], "unit_price": row[1], "flat_fee": row[2] if len(row) == 3 else "0"} for row in rows]


def graduated(*rows: Tier) -> dict[str, Any]:
    return {"model": "graduated", "tiers": tiers(*rows)}


def volume(*rows: Tier) -> dict[str, Any]:
    return {"model": "volume", "tiers": tiers(*rows)}


def per_unit(price: str, included: str = "0") -> dict[str, Any]:
    return {"model": "per_unit", "unit_price": price, "included": included}


def package(size: int, price: str, free: int = 0) -> dict[str, Any]:
    return {"model": "package", "size": size, "price": price, "free_units": free}


def one(price: Mapping[str, Any], amount: str, source: str, *values: str, convert: Any = None, **terms: Any) -> Priced:
    """One price over these values of the metric `usage`."""
    calculator = {} if convert is None else {"convert": convert}
    charge = usage(price, calculator=calculator, **terms)
    return Priced(charges=[charge], values={"usage": list(values)}, amount=amount, source=source)


def of(metric: str, price: Mapping[str, Any], **calculator: Any) -> dict[str, Any]:
    """A charge on a metric of its own, on an invoice with others."""
    return {**usage(price, calculator={"metric": metric, **calculator}), "name": metric.capitalize()}


STRIPE = "docs.stripe.com, tiered pricing: 7.00 up to 5 fonts, 6.50 up to 10, 6.00 above"
FONTS = ((5, "7"), (10, "6.5"), (None, "6"))
INTACCT = "intacct.com, usage-based item pricing, tiered, step"
DEVICES = ((3, "10"), (7, "9.5"), (None, "9"))
ORACLE = "docs.oracle.com, banking liquidity management, tier based amount; a count of 1,000"
LAGO_PERCENT = "getlago.com/docs, graduated percentage"
LAGO_PERCENTS = {
    "model": "graduated_percentage",
    "tiers": [
        {"up_to": 1000, "rate": "1", "flat_fee": "200"},
        {"up_to": 10000, "rate": "2", "flat_fee": "300"},
        {"up_to": None, "rate": "3", "flat_fee": "400"},
    ],
}
ZUORA = "docs.zuora.com, storage, tiered with overage: 0, 0.10, 0.08, 0.06, then 0.15"
STORAGE = ((500, "0"), (1000, "0.10"), (3000, "0.08"), (10000, "0.06"), (None, "0.15"))
ARDEN = "miweblink2.metro-inet.us, water and sewer rates of a city, 2013: 230.46 + 258.10 + 11.71"
# Its totals are 0.01 more than their own parts.
THOUSANDS = {"divide_by": 1000}
WATER = of("water", graduated((10, "0"), (35, "3.51"), (None, "6.15")), convert=THOUSANDS)
SEWER = of("sewer", per_unit("4.93", "15"), convert=THOUSANDS)
# Water 41.16, standby 7.71, test 1.59; sewer 85.55; surface water 11.71.
CITY = [fee("50.46"), {**fee("85.55"), "name": "Sewer base"}, {**fee("11.71"), "name": "Surface"}, WATER, SEWER]
LAMBDA = "aws.amazon.com/lambda/pricing, example 1: 3 million executions of 1 s with 512 MB"
MILLIONS = {"divide_by": 1000000}
TAMIL_NADU = "headlinesnewsworld.blogspot.com, Tamil Nadu electricity, 2012"
TELECOM = "dcitelecom.ca: 10.00 a GB over the limit, at most 50.00 a line; here over 2 GB"
UPVEST = "docs.upvest.co, transaction fees: 1 % of an order, at least 1.00 and at most 100.00"
ONE_PERCENT = {"model": "percentage", "rate": "1", "minimum": "1", "maximum": "100"}
SLABS = "calculatorlib.com, data overage"

CASES: dict[str, Priced] = {
    **{
        f"{quantity} fonts by volume": one(volume(*FONTS), amount, STRIPE, quantity)
        for quantity, amount in {"1": "7", "5": "35", "6": "39", "20": "120", "25": "150"}.items()
    },
    # 35 + 6.50; 35 + 5 x 6.50 + 10 x 6; 35 + 32.50 + 15 x 6.
    **{
        f"{quantity} fonts graduated": one(graduated(*FONTS), amount, STRIPE, quantity)
        for quantity, amount in {"1": "7", "5": "35", "6": "41.50", "20": "127.50", "25": "157.50"}.items()
    },
    **{
        f"{quantity} devices by steps": one(graduated(*DEVICES), amount, INTACCT, quantity)
        for quantity, amount in {"3": "30", "7": "68", "11": "104"}.items()
    },
    "slabs of a count, an amount each": one(
        graduated((250, "0", "10"), (500, "0", "20"), (None, "0", "30")), "60", ORACLE, "1000"
    ),
    "slabs of a count, by the unit": one(graduated((250, "1"), (500, "2"), (None, "3")), "2250", ORACLE, "1000"),
    "an amount for the slab that is reached": one(
        {
            "model": "stairstep",
            "steps": [{"up_to": 250, "amount": "10"}, {"up_to": 500, "amount": "20"}, {"up_to": None, "amount": "30"}],
        },
        "30",
        ORACLE,
        "1000",
    ),
    "a price for the slab that is reached": one(volume((250, "1"), (500, "2"), (None, "3")), "3000", ORACLE, "1000"),
    "one transaction of 500": one(LAGO_PERCENTS, "205", LAGO_PERCENT, "500"),
    "a second one of 550": one(LAGO_PERCENTS, "511", f"{LAGO_PERCENT}; 205 + 306", "500", "550"),
    "a third one of 4,000": one(LAGO_PERCENTS, "591", f"{LAGO_PERCENT}; 205 + 306 + 80", "500", "550", "4000"),
    "201 units in packages of 100, the first free": one(
        package(100, "5", 100), "10", "getlago.com/docs, package", "201"
    ),
    "250 calls at 1.00, 0.50 and 0.10": one(
        graduated((100, "1"), (200, "0.5"), (None, "0.1")), "155", "getlago.com/docs, graduated; 100 + 50 + 5", "250"
    ),
    "1,000 calls at 0.05": one(per_unit("0.05"), "50", "docs.flexprice.io, flat fee", "1000"),
    "65,000 calls by volume": one(
        volume((10000, "0.0010"), (50000, "0.0008"), (100000, "0.0006"), (None, "0.0004")),
        "39",
        "docs.flexprice.io, tiered, volume",
        "65000",
    ),
    "130 units, 100 of them free": one(
        graduated((100, "0"), (None, "2")), "60", "docs.zuora.com, rating details, tiered with overage", "130"
    ),
    # 50 + 160 + 420 + 2,000 x 0.15.
    "12,000 GB with overage": one(graduated(*STORAGE), "930", ZUORA, "12000"),
    "500 GB are included": one(graduated(*STORAGE), "0", ZUORA, "500"),
    "500 GB in the second tier of all": one(
        volume((100, "0.10"), (1000, "0.08"), (None, "0.05")), "40", "docs.solvimon.com, top-tiered, units", "500"
    ),
    "8 % of transactions of 200": one(
        volume((100, "0.10"), (1000, "0.08"), (None, "0.05")), "16", "docs.solvimon.com, top-tiered, amounts", "200"
    ),
    "licences over those bought": one(
        graduated((1000, "0"), (1500, "1"), (None, "2")), "400", "community.oracle.com; 400 x 1", "900", "500"
    ),
    "1,000 calls at 0.10, the others at 0.07": one(
        graduated((1000, "0.10"), (None, "0.07")), "205", "logisense.com, tiered usage; 100 + 105", "2500"
    ),
    "10 MB are a block of 500": one(package(500, "3"), "3", "logisense.com, blocks of data; at 3.00 a block", "10"),
    "three million functions of a second": Priced(
        charges=[
            of("compute", per_unit("0.00001667", "400000")),
            of("requests", per_unit("0.20", "1"), convert=MILLIONS),
        ],
        values={"compute": ["1500000"], "requests": ["3000000"]},
        amount="18.74",
        source=f"{LAMBDA}; 18.34 + 0.40",
    ),
    "two million requests at two services": Priced(
        charges=[
            of("requests", per_unit("0.20", "1"), convert=MILLIONS),
            of("calls", per_unit("1.00", "1"), convert=MILLIONS),
        ],
        values={"requests": ["2000000"], "calls": ["2000000"]},
        amount="1.20",
        source="appropri8-astro.pages.dev, deploying a simple API; 0.20 + 1.00",
    ),
    # 300 x 1.00 + 100 x 0.90.
    "400 million calls": one(
        graduated((300, "1.00"), (None, "0.90")),
        "390",
        "learnaws.org, API gateway pricing, HTTP",
        "400000000",
        convert=MILLIONS,
    ),
    "capacity of writes and reads for an hour": Priced(
        charges=[of("writes", package(10, "0.01")), of("reads", package(50, "0.01"))],
        values={"writes": ["10"], "reads": ["200"]},
        amount="0.05",
        source="aws.amazon.com/dynamodb, pricing examples, 2012; 0.01 + 4 x 0.01",
    ),
    "50,000 gallons of water and sewer": Priced(
        charges=CITY, values={"water": ["50000"], "sewer": ["50000"]}, amount="500.27", source=ARDEN
    ),
    "10,000 gallons of water and sewer": Priced(
        charges=CITY, values={"water": ["10000"], "sewer": ["10000"]}, amount="147.72", source=ARDEN
    ),
    "8 units of water in two tiers": Priced(
        charges=[of("water", graduated((4, "3.65"), (None, "6.17"))), fee("20.75")],
        values={"water": ["8"]},
        amount="60.03",
        source="hdwd.com, water rates; 14.60 + 24.68 + 20.75",
    ),
    "16,000 gallons of sewer": one(
        graduated((5, "0", "27"), (15, "2"), (None, "1.10")),
        "48.10",
        "discoveroakley.com, sewer; 27 + 20 + 1.10",
        "16000",
        convert=THOUSANDS,
    ),
    "350 units of electricity in slabs": one(
        graduated((100, "3"), (300, "4.5"), (500, "6"), (None, "8")),
        "1500",
        "a public issue that explains electricity bills; 300 + 900 + 300",
        "350",
    ),
    "a connected load of 3 kW": one(graduated((1, "85"), (None, "95")), "275", "vtuupdates.com, fixed charge", "3"),
    # The source writes 624 for what its factors come to.
    "120 units of electricity": one(
        graduated((50, "4.1"), (100, "5.55"), (None, "7.1")), "624.50", "vtuupdates.com, 50, 50 and 20 units", "120"
    ),
    "80 units of electricity and a fixed charge": Priced(
        charges=[usage(per_unit("1")), fee("20")], values={"usage": ["80"]}, amount="100", source=TAMIL_NADU
    ),
    "230 units of electricity and a fixed charge": Priced(
        charges=[usage(graduated((200, "2"), (None, "3"))), fee("30")],
        values={"usage": ["230"]},
        amount="520",
        source=f"{TAMIL_NADU}; 400 + 90 + 30",
    ),
    "210 units of electricity in 31 days, with 40 % on top": one(
        graduated((31, "3"), (62, "4.7"), (93, "7.5"), (124, "21"), (186, "24"), (None, "36")),
        "4863.88",
        "lankafreezone.com, Ceylon Electricity Board; 3,474.20 and 40 %",
        "210",
        multiplier="1.4",
    ),
    "a peak of 250 kW": Priced(
        charges=[usage(per_unit("16"), calculator={"aggregation": "max"})],
        values={"usage": ["180", "250", "240"]},
        amount="4000",
        source="tools.gera.services, demand charge",
    ),
    "7 GB over the limit stop at 50.00": one(per_unit("10", "2"), "50", TELECOM, "9", maximum="50"),
    "3 GB over the limit": one(per_unit("10", "2"), "30", TELECOM, "5", maximum="50"),
    "60 GB of 50": one(per_unit("15", "50"), "150", SLABS, "60"),
    "45 GB of 50": one(per_unit("15", "50"), "0", SLABS, "45"),
    "350 GB of 300": one(per_unit("10", "300"), "500", SLABS, "350"),
    "120 GB beyond a plan are three increments": one(
        package(50, "10", 1000), "30", "help.secv.com; 50 GB for 10.00, here after 1,000 GB", "1120"
    ),
    "an order of 50 costs the minimum": one(ONE_PERCENT, "1", UPVEST, "50"),
    "an order of 5,000 costs its percent": one(ONE_PERCENT, "50", UPVEST, "5000"),
    "an order of 20,000 costs the maximum": one(ONE_PERCENT, "100", UPVEST, "20000"),
    "three orders cost the sum": one(ONE_PERCENT, "151", UPVEST, "50", "5000", "20000"),
    # 2.7 % and 0.05 of each: 2.75 + 1.40.
    "cards at a till at 2.7 % and 0.05": one(
        {"model": "percentage", "rate": "2.7", "fixed_fee": "0.05"},
        "4.15",
        "getlago.com/docs, Stripe pricing, in person",
        "100",
        "50",
    ),
}


@pytest.fixture(scope="module")
def invoiced(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    return invoice_all(tmp_path_factory.mktemp("tariffs"), CASES)


@pytest.mark.parametrize("name", CASES)
def test_the_invoice_says_what_the_source_says(invoiced: Mapping[str, str], name: str) -> None:
    assert Decimal(invoiced.get(name, "0")) == Decimal(CASES[name].amount), CASES[name].source


@pytest.mark.parametrize("name", CASES)
def test_the_price_command_says_what_the_source_says(tmp_path: Path, name: str) -> None:
    assert price_all(tmp_path, CASES[name]) == Decimal(CASES[name].amount), CASES[name].source
