"""Pages of lists: a bounded number of rows, and a cursor that says where the next page begins."""

import base64
import json
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel

from billing.core.errors import Invalid

PAGE = 100
PAGE_LIMIT = 1000
"""Most rows of one page."""
CURSOR_LIMIT = 1024
T = TypeVar("T")

Limit = Annotated[int, Query(ge=1, le=PAGE_LIMIT, description="Most rows of this page.")]
Cursor = Annotated[
    str | None,
    Query(max_length=CURSOR_LIMIT, pattern="^[A-Za-z0-9_-]+$", description="`next_cursor` of the page before."),
]


class Page(BaseModel, Generic[T]):
    """Some rows in a fixed order; `next_cursor` is null on the last page."""

    items: list[T]
    next_cursor: str | None


def cursor_of(*place: str | int) -> str:
    """The cursor of the row at this place."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).rstrip(b"=").decode()


def _can_be(part: str | int) -> bool:
    """Whether a database takes it: a number of 63 bits, or a text that can be written, without NUL."""
    if isinstance(part, int):
        return 0 <= part < 2**63
    return "\0" not in part and bool(part.encode() or True)


def place_of(cursor: str | None, *kinds: type) -> Any:
    """The place that a cursor was made of, None without one. Raises Invalid for one that is not ours."""
    if cursor is None:
        return None
    try:
        place = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        if [type(part) for part in place] == list(kinds) and all(_can_be(part) for part in place):
            return tuple(place)
    except (ValueError, TypeError, RecursionError):
        pass
    raise Invalid("the cursor is none of ours; take `next_cursor` of the page before as it is", code="cursor")
