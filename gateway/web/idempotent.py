"""`Idempotency-Key`: the same request again gets the first answer again, the same key with another body is a conflict.

The law: the scope of a key is (token, method and path). The answer is remembered in the transaction that it tells of;
a fault of the database is no answer, so it is not remembered. The memory is that of control requests.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlmodel import Session

from billing.access import Principal
from billing.commands import REQUEST_ID_LIMIT
from billing.core.errors import BillingError, Conflict
from gateway.web.problems import MEDIA_TYPE, problem, status_of
from gateway.web.service import Service
from storage import control
from storage.types import canonical_json

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=REQUEST_ID_LIMIT,
        pattern=r"^[!-~]([ -~]*[!-~])?$",
        description="New for each request: the same one again gets the first answer again.",
    ),
]
Work = Callable[[Session], BaseModel]


def once(
    behind: Service,
    request: Request,
    who: Principal,
    key: str | None,
    raw: Mapping[str, Any],
    work: Work,
    *,
    status: int = 200,
) -> JSONResponse:
    """Do `work` in one transaction and answer with what it gives; with a key, once."""
    with behind.database.transaction() as session:
        if key is None:
            return _shown(work(session), status)
        digest = hashlib.sha256(canonical_json(raw).encode()).hexdigest()
        scope = f"{request.method} {request.scope['path']}"
        owner = f"/token/{who.name}"  # no object is called so
        known = control.find(session, owner, scope, key)
        if known is None:
            answer = _tried(session, work, status)
            control.remember(
                session,
                object_reference=owner,
                command=scope,
                request_id=key,
                body_hash=digest,
                reply=answer,
                now=behind.clock.now(),
            )
        elif known.body_hash != digest:
            raise Conflict(
                f"the Idempotency-Key {key!r} was answered for another body; use a new one for a new request"
            )
        else:
            answer = known.reply
    failed = answer["status"] >= 400  # noqa: PLR2004 - of HTTP
    return JSONResponse(answer["body"], answer["status"], media_type=MEDIA_TYPE if failed else None)


def _tried(session: Session, work: Work, status: int) -> dict[str, Any]:
    inside = session.begin_nested()
    try:
        body = work(session).model_dump(mode="json")
    except BillingError as error:
        inside.rollback()
        refused = problem(status_of(error), error.code, error.message, allowed=error.allowed)
        return {"status": refused.status_code, "body": refused.content}
    inside.commit()
    return {"status": status, "body": body}


def _shown(result: BaseModel, status: int) -> JSONResponse:
    return JSONResponse(result.model_dump(mode="json"), status)
