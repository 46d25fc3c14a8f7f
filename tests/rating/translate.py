"""The words of the sources' examples in the words of the catalogue: what a case's configuration is as our charge.

Each function takes what `cases.json` holds, which is the source's own, and gives catalogue entries or what is asked.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CASES: dict[str, dict[str, Any]] = {
    case["id"]: case for case in json.loads(Path(__file__).with_name("cases.json").read_text(encoding="utf-8"))
}

KEYS = {
    "unit": "unit_price",
    "flat": "flat_fee",
    "rate_pct": "rate",
    "up_to": "up_to",
    "amount": "price",
    "size": "size",
    "free_units": "free_units",
    "fixed_per_event": "fixed_fee",
    "free_events": "free_events",
    "free_total": "free_total",
    "multiplier": "multiplier",
}
"""Source's key: ours. A source's `amount` is that of a package."""

MODELS = {
    "graduated": "graduated",
    "volume": "volume",
    "volume + min commitment 150": "volume",
    "package": "package",
    "package + max commitment 100": "package",
    "percentage": "percentage",
    "percentage + free": "percentage",
    "graduated percentage": "graduated_percentage",
    "dynamic (cost-plus)": "dynamic",
}
"""Source's family of prices: our model."""


def keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping of the source with our keys."""
    return {KEYS[key]: value for key, value in config.items()}


def price(case_id: str) -> dict[str, Any]:
    """Our price for a case whose configuration is a mapping or a list of tiers."""
    case = CASES[case_id]
    config = case["config"]
    own = {"tiers": [keys(tier) for tier in config]} if isinstance(config, list) else keys(config)
    return {"model": MODELS[case["family"]], **own}


def usage(entry: Mapping[str, Any], *, calculator: Mapping[str, Any] | None = None, **terms: Any) -> dict[str, Any]:
    """A usage charge with this price."""
    return {
        "name": "Usage",
        "type": "usage",
        "vat_rate": "20",
        "calculator": {"metric": "usage", "price": dict(entry), **(calculator or {})},
        **terms,
    }


def fee(amount: str, **terms: Any) -> dict[str, Any]:
    """A recurring fee, each month in arrears unless said otherwise."""
    return {"name": "Fee", "type": "recurring", "vat_rate": "20", "amount": amount, **terms}
