"""The commands that a person gives to an object: the form of each, what it would bill, and that it is done.

The law: a form becomes the body of the control topic's command, and is checked and done as that.
"""

import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlmodel import Session
from starlette.responses import Response

from billing import commands
from billing.access import permission_of
from billing.core.errors import Invalid
from billing.preview import Preview, contracts_of, preview
from console.asking import Act, Ask
from console.languages import noted

FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "confirm": (),
        "suspend": ("on",),
        "resume": ("on",),
        "change_plan": ("subscription", "on"),
        "change_price": ("on",),
        "transfer": ("contract", "subscription", "on"),
        "no_renew": ("on",),
        "terminate": ("on", "fee"),
    }
)
"""The commands that have a form on an object's page, and what each asks; activation has a page of its own."""
DAYS = frozenset({"on"})


def request_id() -> str:
    """The id of what a form asks: sent twice, it is the same request."""
    return f"console-{secrets.token_hex(8)}"


def _body(ask: Ask, command: str) -> commands.Body:
    raw: dict[str, Any] = {"request_id": ask.typed("request") or request_id()}
    for name in FIELDS[command]:
        value = ask.typed(name)
        if value:
            raw[name] = ask.day(name) if name in DAYS else value
    return commands.validated(command, {key: str(value) for key, value in raw.items()})


def previewed(ask: Ask, reference: str) -> Preview[Any]:
    """What the command that the form names would bill; nothing is written."""
    command = ask.typed("command")
    if command not in FIELDS:
        raise Invalid(ask.say("The form asks for something that this page does not know."))
    ask.require(permission_of(command))
    body, said = _body(ask, command), ask.said()

    def run(session: Session) -> Any:
        return commands.run(session, command, reference, body, said)

    with ask.house.database.transaction() as session:
        found = preview(
            session,
            run,
            contracts=contracts_of(session, reference, *body.contracts()),
            now=ask.now,
            effective_on=body.effective_on(),
        )
        session.rollback()
    return found


def doing(command: str) -> Act:
    """Does a command for the object of the page."""

    def act(ask: Ask) -> Response:
        reference = ask.part("reference")
        body = _body(ask, command)
        with ask.house.database.transaction() as session:
            commands.run(session, command, reference, body, ask.said(body.request_id))
        ask.house.wake()
        return ask.go(ask.path, ask.say(DONE[command], object=reference))

    return act


DONE: Mapping[str, str] = MappingProxyType(
    {
        "confirm": noted("%(object)s is confirmed."),
        "suspend": noted("%(object)s is suspended."),
        "resume": noted("%(object)s is active again."),
        "change_plan": noted("%(object)s is on another plan."),
        "change_price": noted("%(object)s has another price."),
        "transfer": noted("%(object)s is on another contract."),
        "no_renew": noted("Notice is given for %(object)s."),
        "terminate": noted("%(object)s is terminated."),
    }
)
