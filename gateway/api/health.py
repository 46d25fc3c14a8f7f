"""Whether this process serves: open to everybody, and it says nothing that a stranger could use."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from gateway.web.service import Behind
from storage import health as stored

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The process answers, and so does its database; otherwise the answer is 503."""

    status: Literal["ok"]


@router.get("/health", operation_id="health")
def health(behind: Behind) -> Health:
    """Whether the gateway and its database answer. Needs no token."""
    with behind.database.snapshot() as session:
        stored.touch(session)
    return Health(status="ok")
