"""The published description of the API: OpenAPI 3.1, the same bytes for the same release."""

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gateway.web.problems import Refusal


def specification(app: FastAPI) -> dict[str, Any]:
    """The document as a value."""
    made: dict[str, Any] = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version="3.1.0",
        summary=app.summary,
        routes=app.routes,
        servers=app.servers,
    )
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    schemas["Refusal"] = Refusal.model_json_schema(mode="serialization")
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for operations in made["paths"].values():
        for operation in operations.values():
            for response in operation["responses"].values():
                if "application/problem+json" in response.get("content", {}):
                    response["content"].pop("application/json", None)
    return made


def text_of(app: FastAPI) -> str:
    """The document as it is published."""
    return json.dumps(specification(app), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
