"""What every endpoint with a token shares: its permission, and the refusals that the specification names."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Depends

from billing.access import Permission
from gateway.web.problems import MEDIA_TYPE
from gateway.web.security import needs

REFUSALS = {
    400: "The body is not JSON, or its JSON says something twice.",
    401: "No token, or one that opens nothing.",
    403: "The role of the token does not include this.",
    404: "Nothing has this name.",
    409: "The state does not allow it (`allowed` says what it does), or the key was used for another content.",
    413: "The body is too large.",
    415: "The body is of another type.",
    422: "A value that no state would accept.",
    503: "The database is busy or away; the same request may succeed later.",
}
_SCHEMA = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": _SCHEMA} for status, text in REFUSALS.items()
}


def router(noun: str) -> APIRouter:
    """The endpoints of one noun."""
    return APIRouter(tags=[noun], responses=RESPONSES)


def allowed(permission: Permission) -> Sequence[Any]:
    """The dependencies of an endpoint that reads: whoever asks has the permission."""
    return [Depends(needs(permission))]


__all__ = ["MEDIA_TYPE", "REFUSALS", "allowed", "router"]
