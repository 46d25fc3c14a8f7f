"""From a line of an invoice down to the objects, the usage records and the message behind it."""

from itertools import islice

from starlette.responses import Response

from billing.access import Permission
from billing.core.errors import Invalid, NotFound
from billing.tracing import Tracer
from console.asking import Ask, Page
from storage import detail, drilling
from storage.invoices import name_of

ROWS = 50
RECORDS = 500


def show(ask: Ask) -> Response:
    """A page of the objects of a line."""
    line_id = int(ask.part("line"))
    reference, largest = ask.typed("search"), bool(ask.typed("largest"))
    with ask.house.database.snapshot() as session:
        found = drilling.line_of(session, line_id)
        if found is None:
            raise NotFound("no invoice has this line")
        rows = drilling.shares(
            session, line_id, reference=reference, after=_after(ask.typed("after")), largest=largest, limit=ROWS + 1
        )
    more = len(rows) > ROWS and not largest
    rows = rows[:ROWS]
    return ask.page(
        "line.html",
        line=found.line,
        invoice=found.invoice,
        number=name_of(found.invoice),
        rows=rows,
        search=reference,
        largest=largest,
        next_page=ask.here(after=f"{rows[-1].schedule_id}.{rows[-1].object_id}") if more else None,
        first_page=ask.here(after=None) if ask.typed("after") else None,
    )


def _after(text: str) -> tuple[int, int]:
    schedule, _, one = text.partition(".")
    try:
        return (int(schedule), int(one)) if text else (0, 0)
    except ValueError:
        raise Invalid(f"{text[:30]!r} is no place in the list; begin at its first page") from None


def show_share(ask: Ask) -> Response:
    """What one object put on a line: the register at both ends, and every usage record."""
    line_id, schedule_id, object_id = (int(ask.part(name)) for name in ("line", "schedule", "object"))
    with ask.house.database.snapshot() as session:
        found = drilling.line_of(session, line_id)
        share = detail.explain_share(session, line_id, schedule_id, object_id or None, Tracer(session).shows)
        if found is None or share is None:
            raise NotFound("no invoice has this share; the line shows those that it has")
        records = list(islice(share.records, RECORDS))
        messages = {
            record.record.received_at: drilling.message_of(session, share.detail.reference, record.record.received_at)
            for record in records
            if record.record.origin == "replay"
        }
    return ask.page(
        "share.html",
        line=found.line,
        invoice=found.invoice,
        number=name_of(found.invoice),
        share=share,
        records=records,
        messages=messages,
        limit=RECORDS,
    )


PAGES = (
    Page(path="/lines/{line:int}", show=show, needs=Permission.READ_BILLING),
    Page(path="/lines/{line:int}/{schedule:int}/{object:int}", show=show_share, needs=Permission.READ_BILLING),
)
