"""Bodies of requests: read up to a limit, parsed as control messages are, described in the specification.

The law: nobody makes the gateway hold more than METERGATE_HTTP_BODY_LIMIT_BYTES of one request.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from billing.access import Principal
from billing.wire import parse_object
from gateway.web.problems import Problem
from gateway.web.security import principal
from gateway.web.service import Behind

JSON = "application/json"


async def read(request: Request, limit: int) -> bytes:
    """The whole body. Raises Problem (413) as soon as more than `limit` bytes are announced or have come."""
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return b"".join(parts)


async def json_object(
    request: Request, behind: Behind, _who: Annotated[Principal, Depends(principal)]
) -> Mapping[str, Any]:
    """The JSON object of the body, read once it is known who asks. Raises Problem (401, 415, 413) or Invalid."""
    require_type(request, JSON)
    limit = behind.settings.http_body_limit_bytes
    return await run_in_threadpool(parse_object, await read(request, limit), limit)


def require_type(request: Request, wanted: str) -> None:
    """Raise Problem (415) when the body is said to be of another type."""
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found != wanted:
        raise Problem(415, "unsupported_media_type", f"the body is {found or 'of no type'}; send {wanted}")


Raw = Annotated[Mapping[str, Any], Depends(json_object)]


def accepts(model: type[BaseModel], *, without: str = "") -> dict[str, Any]:
    """What the specification says of a body: the form of `model`, except the key `without`."""
    schema = model.model_json_schema(mode="validation")
    definitions = schema.pop("$defs", {})
    shown: dict[str, Any] = _inlined(schema, definitions)
    shown["properties"].pop(without, None)
    shown["required"] = [name for name in shown.get("required", []) if name != without]
    if not shown["required"]:
        del shown["required"]
    shown.pop("description", None)
    return {"requestBody": {"required": True, "content": {JSON: {"schema": shown}}}}


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    match schema:
        case {"$ref": str(ref), **_rest}:
            return _inlined(definitions[ref.rpartition("/")[2]], definitions)
        case dict():
            return {key: _inlined(value, definitions) for key, value in schema.items()}
        case list():
            return [_inlined(value, definitions) for value in schema]
        case _:
            return schema


def _too_large(limit: int) -> Problem:
    return Problem(413, "too_large", f"the body has more than {limit} bytes; send less at once")
