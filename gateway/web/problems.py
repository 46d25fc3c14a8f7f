"""Errors as RFC 9457 has them, with the codes of the control replies: one sentence, and what is allowed instead."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route

from billing.core.errors import BillingError
from storage.errors import DatabaseBusy, StorageError
from storage.invoices import UnknownInvoice

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5
"""When to ask again after a passing fault of the database."""
TOLD_LIMIT = 10
"""Most wrong parameters that one answer names."""
STATUS_OF_CODE: Mapping[str, int] = {
    "busy": 503,
    "conflict": 409,
    "forbidden": 403,
    "malformed": 400,
    "not_found": 404,
    "refused": 409,
    "too_large": 413,
    "transition": 409,
    "unauthenticated": 401,
    "unavailable": 503,
}
"""The HTTP status of a code; every other code is of a value that no state would accept."""
UNPROCESSABLE = 422


class Problem(Exception):
    """An answer that is refused before any use case is asked."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers


def status_of(error: BillingError) -> int:
    """The HTTP status of what a use case refuses."""
    return status_of_code(error.code)


def status_of_code(code: str) -> int:
    """The HTTP status of a code."""
    return STATUS_OF_CODE.get(code, UNPROCESSABLE)


class Refusal(BaseModel):
    """Why a request is refused (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    allowed: list[str] = []
    """What could be asked instead, where a state does not allow what was asked."""


class Answer(JSONResponse):
    """A problem, with its content at hand."""

    media_type = MEDIA_TYPE

    def __init__(self, content: dict[str, Any], status: int, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(content, status, headers)
        self.content = content


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    allowed: tuple[str, ...] = (),
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """The answer to a request that is refused."""
    body: dict[str, Any] = {
        "type": f"urn:metergate:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if allowed:
        body["allowed"] = list(allowed)
    return Answer(body, status, headers)


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Every error of `app`, which has these routes, is answered as a problem."""

    @app.exception_handler(BillingError)
    def _refused(_request: Request, error: BillingError) -> JSONResponse:
        return problem(status_of(error), error.code, error.message, allowed=error.allowed)

    @app.exception_handler(OverflowError)
    def _beyond(_request: Request, _error: OverflowError) -> JSONResponse:
        return problem(422, "invalid", "a number or an instant is beyond what can be kept")

    @app.exception_handler(Problem)
    def _problem(_request: Request, error: Problem) -> JSONResponse:
        return problem(error.status, error.code, error.detail, headers=error.headers)

    @app.exception_handler(UnknownInvoice)
    def _unknown(_request: Request, error: UnknownInvoice) -> JSONResponse:
        return problem(404, "not_found", str(error))

    @app.exception_handler(StorageError)
    def _storage(_request: Request, error: StorageError) -> JSONResponse:
        log.warning("a request failed on the database: %s", error)
        code = "busy" if isinstance(error, DatabaseBusy) else "unavailable"
        detail = "the database is busy; try again" if code == "busy" else "the database cannot be used now"
        return problem(503, code, detail, headers={"Retry-After": str(RETRY_SECONDS)})

    @app.exception_handler(RequestValidationError)
    def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        told = "; ".join(
            f"{'.'.join(str(part) for part in detail['loc'])}: {detail['msg'].removeprefix('Value error, ')}"
            for detail in error.errors()[:TOLD_LIMIT]
        )
        return problem(422, "invalid", f"the request is refused: {told}")

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> JSONResponse:
        code = HTTPStatus(error.status_code).name.lower()
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            methods = _methods(routes, request)
            detail = f"{request.method} is not among the methods of this address: {', '.join(methods)}"
            return problem(error.status_code, code, detail, headers={"Allow": ", ".join(methods)})
        return problem(error.status_code, code, str(error.detail), headers=error.headers)

    @app.exception_handler(Exception)
    def _fault(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return problem(500, "fault", "the gateway made an error; its log says which")


def _methods(routes: Sequence[BaseRoute], request: Request) -> list[str]:
    """What may be done at an address that stands in several endpoints: one of them only knows its own."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    found = [route for route in routes if isinstance(route, Route) and route.path_regex.match(path)]
    first = {route.path for route in found[:1]}
    return sorted({method for route in found if route.path in first for method in route.methods or ()})
