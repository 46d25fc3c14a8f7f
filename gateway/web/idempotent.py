"""`Idempotency-Key`: the same request again gets the first answer again, the same key with another body is a conflict.

The law: the scope of a key is (token, method and path). The answer is remembered in the transaction that it tells of;
a fault of the database is no answer, so it is not remembered. The memory is that of control requests.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
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
        scope = _Scope.of(request, who, key, raw)
        answer = scope.answer(session)
        if answer is None:
            answer = _tried(session, work, status)
            scope.remember(session, answer, behind.clock.now())
    return _again(answer)


def tried(behind: Service, work: Work) -> JSONResponse:
    """What `work` would come to: done, shown and taken back, so that no key is used up by it."""
    with behind.database.transaction() as session:
        answer = _shown(work(session), 200)
        session.rollback()
    return answer


def remembered(
    behind: Service,
    request: Request,
    who: Principal,
    key: str | None,
    raw: Mapping[str, Any],
    work: Callable[[], BaseModel],
) -> JSONResponse:
    """Do `work`, which commits by itself and changes nothing when it is done again; with a key, one answer for all.

    A process that ends between the two does it again at the repeat: that gives another answer, and nothing twice.
    """
    if key is None:
        return _shown(work(), 200)
    scope = _Scope.of(request, who, key, raw)
    with behind.database.snapshot() as session:
        answer = scope.answer(session)
    if answer is not None:
        return _again(answer)
    try:
        made = {"status": 200, "body": work().model_dump(mode="json")}
    except BillingError as error:
        made = _refused(error)
    with behind.database.transaction() as session:
        answer = scope.answer(session)
        if answer is None:
            answer = made
            scope.remember(session, answer, behind.clock.now())
    return _again(answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """Whose key it is, of what, and for which body."""

    owner: str
    address: str
    key: str
    digest: str

    @classmethod
    def of(cls, request: Request, who: Principal, key: str, raw: Mapping[str, Any]) -> "_Scope":
        return cls(
            owner=f"/token/{who.name}",  # no object is called so
            address=f"{request.method} {request.scope['path']}",
            key=key,
            digest=hashlib.sha256(canonical_json(raw).encode()).hexdigest(),
        )

    def answer(self, session: Session) -> Mapping[str, Any] | None:
        """What was answered before. Raises Conflict when that was to another body."""
        known = control.find(session, self.owner, self.address, self.key)
        if known is None:
            return None
        if known.body_hash != self.digest:
            raise Conflict(
                f"the Idempotency-Key {self.key!r} was answered for another body; use a new one for a new request"
            )
        return known.reply

    def remember(self, session: Session, answer: Mapping[str, Any], now: datetime) -> None:
        control.remember(
            session,
            object_reference=self.owner,
            command=self.address,
            request_id=self.key,
            body_hash=self.digest,
            reply=answer,
            now=now,
        )


def _tried(session: Session, work: Work, status: int) -> dict[str, Any]:
    inside = session.begin_nested()
    try:
        body = work(session).model_dump(mode="json")
    except BillingError as error:
        inside.rollback()
        return _refused(error)
    inside.commit()
    return {"status": status, "body": body}


def _refused(error: BillingError) -> dict[str, Any]:
    refused = problem(status_of(error), error.code, error.message, allowed=error.allowed)
    return {"status": refused.status_code, "body": refused.content}


def _again(answer: Mapping[str, Any]) -> JSONResponse:
    failed = answer["status"] >= 400  # noqa: PLR2004 - of HTTP
    return JSONResponse(answer["body"], answer["status"], media_type=MEDIA_TYPE if failed else None)


def _shown(result: BaseModel, status: int) -> JSONResponse:
    return JSONResponse(result.model_dump(mode="json"), status)
