"""What a close writes of each schedule."""

from functools import cache

from billing.core.lifecycle import next_schedule_status

Row = tuple[str, str, str, int]
"""Status, quantity and amount (exact text) and id of a schedule."""


@cache
def closed_status(status: str, *, invoiced: bool) -> str:
    """What becomes of a schedule in this status when its month closes, with something on an invoice or without."""
    return next_schedule_status(status, "invoice" if invoiced else "settle").value
