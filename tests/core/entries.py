"""Parts of catalogue entries, read as charges read them."""

from collections.abc import Mapping
from typing import Any, cast

from billing.core.prices import Price
from billing.core.reading import read


def price_from(definition: Mapping[str, Any]) -> Price:
    return cast("Price", read(Price, definition))
