"""What every endpoint with a token shares: its permission, and the refusals that the specification names."""

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from billing.access import Permission
from billing.core.errors import Invalid
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


def only_known_parameters(request: Request) -> None:
    """Refuse what an endpoint does not know, or is told twice: a filter that is passed over answers with too much."""
    route: APIRoute = request.scope["route"]
    known = tuple(dict.fromkeys(_parameters(route.dependant)))
    for name in request.query_params:
        if name not in known:
            instead = f"it takes {', '.join(known)}" if known else "it takes none"
            raise Invalid(f"this address has no parameter {name[:64]!r}; {instead}")
        if len(request.query_params.getlist(name)) > 1:
            raise Invalid(f"the parameter {name!r} is given more than once; leave one")


def _parameters(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _parameters(inner)


def router(noun: str) -> APIRouter:
    """The endpoints of one noun."""
    return APIRouter(tags=[noun], responses=RESPONSES, dependencies=[Depends(only_known_parameters)])


def allowed(permission: Permission) -> Sequence[Any]:
    """The dependencies of an endpoint that reads: whoever asks has the permission."""
    return [Depends(needs(permission))]


__all__ = ["MEDIA_TYPE", "REFUSALS", "allowed", "router"]
