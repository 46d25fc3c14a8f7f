"""Usage records that were taken back: what stands in their place is what the reversal says."""

from collections.abc import Iterator

from billing.checks.books import Books, Finding
from storage import reversals as stored


def replaced(books: Books) -> Iterator[Finding]:
    """Every reversal whose replacement is not there, or is of another quantity than it says."""
    for reference, metric, occurred_at in stored.wrongly_replaced(books.session):
        message = (
            f"what stands in place of the {metric} of {occurred_at:%Y-%m-%d %H:%M:%S} UTC is not what its reversal says"
        )
        yield Finding(check="reversals", subject=reference, message=message)
