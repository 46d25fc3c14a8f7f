"""A fleet from a CSV file: first what it would create and what is wrong in it, then it is created.

The law: the preview does what the import does and takes it back, so that what it says is what comes.
"""

from typing import Any

from sqlmodel import Session
from starlette.datastructures import UploadFile
from starlette.responses import Response

from billing import importing, registry
from billing.access import Permission
from billing.core.errors import BillingError, Invalid
from console.asking import Ask, Page
from console.languages import noted
from console.refusing import Worded

SHOWN = 50


def show(ask: Ask, **found: Any) -> Response:
    """The form, and what a file came to."""
    values: dict[str, Any] = {"text": "", "good": [], "bad": [], "count": 0, "looked": False}
    return ask.page("import.html", **(values | found))


def _text(ask: Ask) -> str:
    file = ask.form.get("file")
    if isinstance(file, UploadFile) and file.filename:
        try:
            return file.file.read().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Worded(ask.say(noted("The file is not UTF-8 text; save it as CSV in UTF-8."))) from None
    text = ask.form.get("text")
    if not isinstance(text, str) or not text.strip():
        raise Worded(ask.say(noted("Choose a file first.")))
    return text


def _create(ask: Ask, session: Session, text: str) -> tuple[list[registry.NewObject], list[tuple[int, str]]]:
    good, bad = importing.read(text.splitlines(keepends=True))
    if len(good) + len(bad) > registry.IMPORT_LIMIT:
        raise Invalid(f"the file has more than {registry.IMPORT_LIMIT} objects; use `metergate objects import` for it")
    outcomes = registry.create_objects(
        session,
        [new for _, new in good],
        "pending",
        ask.now,
        ask.origin,
        topic_devices=ask.house.settings.topic_devices,
        command_expiry_seconds=ask.house.settings.command_expiry_seconds,
    )
    done = []
    for (line, new), outcome in zip(good, outcomes, strict=True):
        if isinstance(outcome, BillingError):
            bad.append((line, outcome.message))
        else:
            done.append(new)
    return done, sorted(bad)


def _preview(ask: Ask) -> Response:
    text = _text(ask)
    with ask.house.database.transaction() as session:
        good, bad = _create(ask, session, text)
        session.rollback()
    return show(ask, text=text, good=good[:SHOWN], bad=bad, count=len(good), looked=True)


def _import(ask: Ask) -> Response:
    text = _text(ask)
    with ask.house.database.transaction() as session:
        good, bad = _create(ask, session, text)
    ask.house.wake()
    said = ask.say(noted("%(count)s objects are created, %(bad)s rows are left out."), count=len(good), bad=len(bad))
    return ask.go("/fleet", said)


PAGES = (
    Page(
        path="/fleet/import",
        show=show,
        needs=Permission.OBJECTS,
        actions={"preview": (Permission.OBJECTS, _preview), "import": (Permission.OBJECTS, _import)},
    ),
)
