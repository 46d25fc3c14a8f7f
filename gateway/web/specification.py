"""The published description of the API: OpenAPI 3.1, the same bytes for the same release."""

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gateway.web.problems import MEDIA_TYPE as PROBLEM
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
    shared: dict[str, Any] = {}
    for operations in made["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if PROBLEM in response.get("content", {}):
                    named = f"refused_{status}"
                    shared[named] = {**response, "content": {PROBLEM: response["content"][PROBLEM]}}
                    operation["responses"][status] = {"$ref": f"#/components/responses/{named}"}
    made["components"]["responses"] = shared
    return made


def text_of(app: FastAPI) -> str:
    """The document as it is published."""
    return json.dumps(specification(app), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
