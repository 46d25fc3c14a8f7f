"""A worked example of quantities and prices, run in two ways: to its invoice, and through `price`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.rating.command import Command


@dataclass(frozen=True, kw_only=True)
class Priced:
    """Charges of one plan, the events of one object in April 2022, and the net amount of its invoice."""

    charges: list[dict[str, Any]]
    values: Mapping[str, list[str]] = field(default_factory=dict)
    """Values of each metric."""
    amount: str
    source: str = ""


def invoice_all(folder: Path, cases: Mapping[str, Priced]) -> Mapping[str, str]:
    """The net amount of each case's invoice: one catalogue, one import of usage, one close for all of them."""
    metrics = sorted({"usage", *(metric for case in cases.values() for metric in case.values)})
    with Command(folder) as command:
        command.apply(
            {
                "metrics": [{"name": name, "unit": "unit", "kind": "delta"} for name in metrics],
                "plans": [{"name": case_id, "charges": case.charges} for case_id, case in cases.items()],
                "contracts": [
                    {"name": case_id, "customer": "SOMEBODY", "starts_on": "2022-04-01", "subscriptions": [case_id]}
                    for case_id in cases
                ],
            }
        )
        command.objects((case_id, case_id, case_id, "2022-04-01") for case_id in cases)
        command.use(
            (case_id, metric, value, f"2022-04-{day:02d}T10:00:00Z")
            for case_id, case in cases.items()
            for metric, values in case.values.items()
            for day, value in enumerate(values, start=1)
        )
        found = {invoice["contract"]: invoice["net"] for invoice in command.close("2022-04-30")}
        command.run("verify")
        return found


def price_all(folder: Path, case: Priced) -> Decimal:
    """What `metergate price` says that the charges of a case come to, each rounded."""
    total = Decimal(0)
    with Command(folder) as command:
        for charge in case.charges:
            values = case.values.get(charge.get("calculator", {}).get("metric", ""), [])
            events = [
                {"at": f"2022-04-{day:02d}T10:00:00Z", "value": value} for day, value in enumerate(values, start=1)
            ]
            found = command.price(charge, "--period", "2022-04-01/2022-05-01", events=events)
            total += Decimal(found["amount_rounded"])
    return total
