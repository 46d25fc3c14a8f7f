"""One object: why it is billed, or why it is not."""

from starlette.responses import Response

from billing.access import Permission
from billing.core.errors import NotFound
from billing.core.lifecycle import ObjectStatus, allowed_commands
from console.asking import Ask, Page
from storage import items, registry

TIMELINE_ROWS = 100


def show(ask: Ask) -> Response:
    """The page of an object."""
    reference = ask.part("reference")
    with ask.house.database.snapshot() as session:
        found = registry.list_objects(session, references=[reference])
        if not found:
            raise NotFound(f"no object is called {reference!r}; the fleet shows those that are")
        it = found[0]
        presence = registry.presence(session, it.id)
        timeline = registry.timeline(session, it.id, TIMELINE_ROWS)
        own = items.of_objects(session, [it.id])
        schedules = {item.id: items.schedules(session, item.id) for item in own}
    return ask.page(
        "object.html",
        it=it,
        presence=presence,
        timeline=timeline[::-1],
        items=own[::-1],
        schedules=schedules,
        commands=allowed_commands(ObjectStatus(it.status)),
    )


PAGES = (Page(path="/objects/{reference}", show=show, needs=Permission.READ_FLEET),)
