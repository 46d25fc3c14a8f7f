"""What was paid: never more than a document is over, and not before it was issued."""

from collections.abc import Iterator

from billing.checks.books import Books, Finding
from billing.core.money import format_minor
from storage import payments as stored


def paid(books: Books) -> Iterator[Finding]:
    """Every document on which more was paid than it is over, and every payment that came before its document."""
    for row in stored.documents(books.session):
        if row.paid_minor > row.gross_minor:
            gone, over = (format_minor(it, row.minor_digits) for it in (row.paid_minor, row.gross_minor))
            message = f"{gone} {row.currency} was paid, the document is over {over}"
            yield Finding(check="payments", subject=row.number, message=message)
    for number, reference in stored.paid_too_early(books.session):
        message = f"payment {reference} is of a day before the document was issued, and of no advance"
        yield Finding(check="payments", subject=number, message=message)
