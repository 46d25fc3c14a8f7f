"""What invoices took of advances: never more than was paid, and only of what was there on their day."""

from collections.abc import Iterator

from billing.checks.books import Books, Finding
from billing.core.money import format_minor, minor_digits
from storage import advances as stored


def taken(books: Books) -> Iterator[Finding]:
    """Every advance of which more was taken than was paid, and everything taken before it was paid."""
    for row in stored.of_contracts(books.session):
        if row.left_minor < 0:
            paid, gone = (
                format_minor(it, minor_digits(row.currency)) for it in (row.advance.amount_minor, row.taken_minor)
            )
            message = f"invoices took {gone} {row.currency} of advance {row.advance.reference}, which is over {paid}"
            yield Finding(check="advances", subject=row.contract, message=message)
    for number, reference in stored.taken_too_early(books.session):
        message = f"took of advance {reference}, which was paid after its day"
        yield Finding(check="advances", subject=number, message=message)
