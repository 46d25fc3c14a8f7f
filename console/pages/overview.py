"""The overview: how the fleet is, and what needs a decision."""

from starlette.responses import Response

from console.asking import Ask, Page
from storage import quarantine, registry
from storage.tables import OBJECT_STATUSES


def show(ask: Ask) -> Response:
    """The first page after the sign-in."""
    with ask.house.database.snapshot() as session:
        statuses = registry.count_by_status(session)
        refused = quarantine.counts(session)
    return ask.page(
        "overview.html", statuses=[(word, statuses.get(word, 0)) for word in OBJECT_STATUSES], refused=refused
    )


PAGES = (Page(path="/", show=show),)
