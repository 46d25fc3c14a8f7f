"""Refused messages by reason: the payload, a mapping to try, replay and discard; and the readings that are held."""

from typing import Any

from starlette.responses import Response

from billing import readings
from billing.access import Permission
from billing.core.errors import Invalid, NotFound
from billing.core.redacting import shown
from console.asking import Act, Ask, Page
from console.languages import noted
from console.pages.commanding import asked_id, do, request_id
from console.refusing import Worded
from storage import browsing
from storage import quarantine as stored
from storage.quarantine import Which
from storage.tables import QUARANTINE_STATUSES

ROWS = 50
PAYLOAD_SHOWN = 20_000
"""Characters of a payload that a page shows."""
HELD_SHOWN = 100
READINGS = ("accept_readings", "reject_readings", "exchange_readings")


def _which(ask: Ask) -> Which:
    return Which(
        reason=ask.typed("reason") or None,
        object_reference=ask.typed("object") or None,
        source=ask.typed("source") or None,
    )


def show_list(ask: Ask) -> Response:
    """What waits, by reason, and a page of it; readings that are held stand below."""
    status = ask.typed("status") or "waiting"
    which = _which(ask)
    with ask.house.database.snapshot() as session:
        reasons = stored.counts(session)
        before = ask.whole("before", 0)
        rows = browsing.refused(session, status=status, which=which, before=before or None, limit=ROWS + 1)
    more = len(rows) > ROWS
    rows = rows[:ROWS]
    return ask.page(
        "quarantine.html",
        rows=rows,
        reasons=reasons,
        which=which,
        wanted=status,
        statuses=QUARANTINE_STATUSES,
        next_page=ask.here(before=rows[-1].id) if more else None,
        first_page=ask.here(before=None) if before else None,
    )


def _chosen(ask: Ask) -> Which:
    """The ticked messages, or all that the filter names when that was asked for."""
    if ask.typed("all"):
        which = _which(ask)
        if which == Which():
            raise Worded(ask.say(noted("Choose a reason, an object or a source first.")))
        return which
    ids = [int(text) for text in ask.chosen("id") if text.isascii() and text.isdigit()]
    if not ids:
        raise Worded(ask.say(noted("Tick the messages that are meant.")))
    return Which(ids=ids)


def _replay(ask: Ask) -> Response:
    came = ask.house.services.replay(_chosen(ask))
    ask.house.wake()
    said = ask.say(noted("%(done)s taken in, %(stayed)s wait on."), done=came.done, stayed=len(came.stayed))
    return ask.go(ask.here(), said)


def _discard(ask: Ask) -> Response:
    count = ask.house.services.discard(_chosen(ask))
    return ask.go(ask.here(), ask.say(noted("%(count)s discarded."), count=count))


def show(ask: Ask, *, tried: Any = None) -> Response:
    """One message, whole."""
    with ask.house.database.snapshot() as session:
        message = stored.find(session, int(ask.part("identity")))
    if message is None:
        raise NotFound("no refused message has this id")
    text = shown(message.payload)
    return ask.page(
        "refused.html",
        message=message,
        payload=text[:PAYLOAD_SHOWN],
        cut=len(text) > PAYLOAD_SHOWN,
        properties=None if message.properties is None else stored.as_text(message.properties),
        tried=tried,
    )


def _one(ask: Ask) -> Which:
    return Which(ids=[int(ask.part("identity"))])


def _replay_one(ask: Ask) -> Response:
    came = ask.house.services.replay(_one(ask))
    ask.house.wake()
    if came.stayed:
        raise Invalid(next(iter(came.stayed.values())))
    return ask.go(ask.path, ask.say(noted("The message is in.")))


def _discard_one(ask: Ask) -> Response:
    ask.house.services.discard(_one(ask))
    return ask.go(ask.path, ask.say(noted("The message is discarded.")))


def _try(ask: Ask) -> Response:
    """What a mapping makes of the message; nothing is stored."""
    with ask.house.database.snapshot() as session:
        message = stored.find(session, int(ask.part("identity")))
    if message is None:
        raise NotFound("no refused message has this id")
    topic = ask.typed("topic") or message.topic
    mapping = str(ask.form.get("mapping") or "")
    return show(ask, tried=ask.house.services.try_mapping(message.payload, message.properties, topic, mapping))


def show_readings(ask: Ask) -> Response:
    """The readings of registers that wait for a decision."""
    with ask.house.database.snapshot() as session:
        held = readings.held(session, ask.now, reference=ask.typed("object") or None)
    return ask.page("readings.html", held=held[:HELD_SHOWN], count=len(held), request=request_id())


def count_readings(ask: Ask) -> Response:
    """How many registers wait for a decision, of all or of an object; pages that are there ask for it: it is slow."""
    reference = ask.typed("object") or None
    with ask.house.database.snapshot() as session:
        count = len(readings.held(session, ask.now, reference=reference))
    return ask.page("readings_count.html", count=count, reference=reference)


def _decide(command: str) -> Act:
    def act(ask: Ask) -> Response:
        reference = ask.typed("reference")
        raw = {"request_id": asked_id(ask), "metric": ask.typed("metric")}
        for name in ("at", "reason"):
            if ask.typed(name):
                raw[name] = ask.typed(name)
        do(ask, command, reference, raw)
        return ask.go("/readings", ask.say(noted("It is decided for %(object)s."), object=reference))

    return act


PAGES = (
    Page(
        path="/quarantine",
        show=show_list,
        needs=Permission.READ_FLEET,
        actions={"replay": (Permission.QUARANTINE, _replay), "discard": (Permission.QUARANTINE, _discard)},
    ),
    Page(
        path="/quarantine/{identity:int}",
        show=show,
        needs=Permission.READ_FLEET,
        actions={
            "replay": (Permission.QUARANTINE, _replay_one),
            "discard": (Permission.QUARANTINE, _discard_one),
            "try": (Permission.READ_FLEET, _try),
        },
    ),
    Page(path="/readings/count", show=count_readings, needs=Permission.READ_FLEET),
    Page(
        path="/readings",
        show=show_readings,
        needs=Permission.READ_FLEET,
        actions={command: (Permission.USAGE, _decide(command)) for command in READINGS},
    ),
)
