"""A month as a request writes it."""

from datetime import date

from billing.core.errors import Invalid


def first_day(month: str) -> date:
    """The first day of a month that is written as 2022-04. Raises Invalid."""
    try:
        return date.fromisoformat(f"{month}-01")
    except ValueError:
        raise Invalid(f"{month!r} is not a month; write it as 2022-04") from None
