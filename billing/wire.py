"""Bytes to checked values: JSON that says nothing twice, and models that name every key that is wrong."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from billing.core.errors import BillingError, Invalid

TOLD_LIMIT = 10
"""Most wrong keys that one answer names."""
M = TypeVar("M", bound=BaseModel)


def parse_object(body: bytes, limit: int) -> dict[str, Any]:
    """The JSON object in `body`. Raises Invalid when it is too large, no JSON, no object, or has a key twice."""
    if len(body) > limit:
        raise Invalid(f"the body has {len(body)} bytes, and {limit} are allowed; shorten it", code="too_large")
    try:
        raw = json.loads(body, object_pairs_hook=_object, parse_constant=_no_constant)
        json.dumps(raw, allow_nan=False, ensure_ascii=False).encode()
    except BillingError:
        raise
    except (ValueError, RecursionError):
        raise Invalid("the body is not JSON in UTF-8; send one JSON object", code="malformed") from None
    if not isinstance(raw, dict):
        raise Invalid(f"the body is a JSON {type(raw).__name__}; send a JSON object", code="malformed")
    return raw


def read_as(model: type[M], raw: Mapping[str, Any]) -> M:
    """The values as `model` wants them. Raises Invalid, naming every key that is wrong."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(str(part) for part in detail['loc'])}: {detail['msg'].removeprefix('Value error, ')}"
            for detail in error.errors(include_url=False)[:TOLD_LIMIT]
        )
        raise Invalid(f"the body is refused: {told}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise Invalid("the body has a key twice in one object; keep one", code="malformed")
    return values


def _no_constant(word: str) -> NoReturn:
    raise Invalid(f"the body contains {word}, which is not JSON; leave it out", code="malformed")
