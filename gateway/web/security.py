"""Who asks: the bearer token of a request, and what its role allows."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from billing.access import Permission, Principal, authenticate
from console.signing import COOKIE, principal_of
from gateway.web.problems import Problem
from gateway.web.service import Behind

_bearer = HTTPBearer(auto_error=False, scheme_name="token", description="The secret of an access token.")


def principal(
    behind: Behind, request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Principal:
    """Who asks: by a token, or, where something is only read, by the session of the console.

    Raises Problem (401) when the request has no token, or one that opens nothing.
    """
    headers = {"WWW-Authenticate": "Bearer"}
    if credentials is None and request.method == "GET" and (cookie := request.cookies.get(COOKIE)):
        with behind.database.snapshot() as session:
            signed_in = principal_of(session, cookie, behind.clock.now())
        if signed_in is not None:
            return signed_in
    if credentials is None:
        raise Problem(
            401,
            "unauthenticated",
            "the request has no token; send Authorization: Bearer SECRET (metergate tokens create makes one)",
            headers,
        )
    with behind.database.snapshot() as session:
        found = authenticate(session, credentials.credentials)
    if found is None:
        headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
        raise Problem(401, "unauthenticated", "the token opens nothing; it may have been revoked", headers)
    return found


def needs(permission: Permission) -> Callable[[Principal], Principal]:
    """A dependency: who asks, when their role has `permission`. Raises Refused (403)."""

    def check(who: Annotated[Principal, Depends(principal)]) -> Principal:
        who.require(permission)
        return who

    return check
