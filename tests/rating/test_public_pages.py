"""Worked examples of public pricing pages and of other billing systems' documentation, through `metergate price`."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.rating.command import Command


def tiers(*rows: tuple[int | str | None, str] | tuple[int | str | None, str, str]) -> list[dict[str, Any]]:
    return [{"up_to": row[0], "unit_price": row[1], "flat_fee": row[2] if len(row) == 3 else "0"} for row in rows]


def calls(*values: str, **properties: str) -> list[dict[str, Any]]:
    return [
        {"at": f"2022-04-{place:02d}T10:00:00Z", "value": value, "properties": properties}
        for place, value in enumerate(values, start=1)
    ]


CASES: dict[str, tuple[dict[str, Any], str | list[dict[str, Any]], str, str]] = {
    "15,000 requests in graduated tiers": (
        {"model": "graduated", "tiers": tiers((1000, "0.01"), (10000, "0.008"), (None, "0.005"))},
        "15000",
        "107",
        "docs.useautumn.com, graduated pricing",
    ),
    "15,000 units graduated": (
        {"model": "graduated", "tiers": tiers((1000, "0.10"), (10000, "0.05"), (None, "0.01"))},
        "15000",
        "600",
        "zuplo.com/docs, pricing models",
    ),
    "15,000 units by volume": (
        {"model": "volume", "tiers": tiers((1000, "0.10"), (10000, "0.05"), (None, "0.01"))},
        "15000",
        "150",
        "zuplo.com/docs, pricing models",
    ),
    "100,000 calls per unit": (
        {"model": "per_unit", "unit_price": "0.001"},
        "100000",
        "100",
        "zuplo.com/docs, pricing models",
    ),
    "65,000 calls by volume with a fee": (
        {
            "model": "volume",
            "tiers": tiers(
                (10000, "0.0010", "10"), (50000, "0.0008", "10"), (100000, "0.0006", "10"), (None, "0.0004", "10")
            ),
        },
        "65000",
        "49",
        "getlago.com/docs, volume",
    ),
    "4,500 calls in packages of 1,000 by volume": (
        {
            "convert": {"divide_by": 1000, "round": "up"},
            "price": {"model": "volume", "tiers": tiers((10, "1"), (None, "0.5"))},
        },
        "4500",
        "5",
        "docs.flexprice.io, tiered, package size in a tier",
    ),
    "a million and a half tokens in packages": (
        {"model": "package", "size": 1000000, "price": "1.25"},
        "1500000",
        "2.50",
        "chargebee.com/docs, package pricing",
    ),
    "ten tokens are a package": (
        {"model": "package", "size": 1000000, "price": "1.25"},
        "10",
        "1.25",
        "chargebee.com/docs, package pricing",
    ),
    "15 TB of transfer": (
        {"model": "graduated", "tiers": tiers((10240, "0.09"), (51200, "0.085"), (153600, "0.07"), (None, "0.05"))},
        "15360",
        "1356.80",
        "devnotes.tech, S3 pricing, data transfer",
    ),
    "a terabyte stored": ({"model": "per_unit", "unit_price": "0.023"}, "1024", "23.552", "devnotes.tech, S3 pricing"),
    "ten million writes per thousand": (
        {
            "convert": {"divide_by": 1000},
            "price": {"model": "per_unit", "unit_price": "0.00113"},
        },
        "1000000",
        "1.13",
        "aws.amazon.com/s3/faqs, S3 Express One Zone, example 1",
    ),
    "three million invocations, one million free": (
        {
            "convert": {"divide_by": 1000000},
            "price": {"model": "per_unit", "unit_price": "0.20", "included": 1},
        },
        "3000000",
        "0.40",
        "leyaa.ai, Lambda pricing model, requests",
    ),
    "a call of 1 minute and 20 seconds is 2 minutes": (
        {
            "convert": {"divide_by": 60, "round": "up", "per": "record"},
            "price": {"model": "per_unit", "unit_price": "0.0085"},
        },
        calls("80", "80"),
        "0.034",
        "support.twilio.com, how minutes are rounded for billing; two calls of 80 seconds",
    ),
    "a message of 9 kB is three of 4 kB": (
        {
            "convert": {"divide_by": 4, "round": "up", "per": "record"},
            "price": {"model": "per_unit", "unit_price": "1"},
        },
        calls("9", "1", "4"),
        "5",
        "scaleway.com, how messages of the IoT hub are billed; 3 + 1 + 1",
    ),
    "card payments at 2.9 % and 0.30": (
        {"model": "percentage", "rate": "2.9", "fixed_fee": "0.30"},
        calls("100", "50"),
        "4.95",
        "getlago.com/docs, Stripe pricing; 3.20 + 1.75",
    ),
    "minutes at a price for each direction": (
        {
            "by": "direction",
            "prices": {
                "inbound": {"model": "per_unit", "unit_price": "0.0085"},
                "outbound": {"model": "per_unit", "unit_price": "0.013"},
                "toll_free": {"model": "per_unit", "unit_price": "0.022"},
            },
        },
        [
            *calls("200000", direction="inbound"),
            *calls("200000", direction="outbound"),
            *calls("100000", direction="toll_free"),
        ],
        "6500",
        "support.twilio.com, how volume pricing works",
    ),
    "phone numbers at 1.00 and from 1,001 on at 0.50": (
        {"model": "graduated", "tiers": tiers((1000, "1"), (None, "0.50"))},
        "1001",
        "1000.50",
        "support.twilio.com, how volume pricing works, phone numbers",
    ),
    "a rule says a price of packages inside tiers": (
        {
            "model": "rule",
            "expression": "math.ceil(math.least(quantity, 10000) / 1000) "
            "+ math.ceil(math.greatest(quantity - 10000, 0) / 5000) * 4",
        },
        "12500",
        "14",
        "docs.flexprice.io, tiered, slab with a package size in each tier: 10 packages of 1.00 and 1 of 4.00",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_a_public_example_comes_to_its_amount(
    tmp_path: Path, case: tuple[dict[str, Any], str | list[dict[str, Any]], str, str]
) -> None:
    calculator, usage, amount, source = case
    price = calculator if "model" not in calculator else {"price": calculator}
    charge = {"type": "usage", "calculator": price}
    with Command(tmp_path) as command:
        if isinstance(usage, str):
            found = command.price(charge, "--quantity", usage)
        else:
            found = command.price(charge, events=usage)
    assert Fraction(found["amount"]) == Fraction(amount), source
    assert set(found) == {"amount", "amount_rounded", "lines"}
    assert sum(Fraction(line["amount"]) for line in found["lines"]) == Fraction(found["amount"])
    assert sum(Fraction(line["amount_rounded"]) for line in found["lines"]) == Fraction(found["amount_rounded"])
