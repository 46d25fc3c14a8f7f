"""The commands that a person gives to an object: the form of each, what it would bill, and that it is done.

The law: a form becomes the body of the control topic's command, and is checked, done and remembered as that: what is
sent twice is done once, and is told in the object's list of commands with who gave it.
"""

import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlmodel import Session
from starlette.responses import Response

from billing import commands
from billing.access import permission_of
from billing.control import answer
from billing.core.errors import BillingError, Refused
from billing.core.lifecycle import check_reference
from billing.preview import Preview, contracts_of, preview
from console.asking import Act, Ask
from console.languages import noted
from console.refusing import Worded

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


def asked_id(ask: Ask) -> str:
    """The request id of the form, or a new one where it has none."""
    return ask.typed("request") or request_id()


def obey(ask: Ask, session: Session, command: str, reference: str, raw: Mapping[str, Any]) -> BillingError | None:
    """Do what a form says as the control topic does; what refused it, when it was refused, which is remembered too."""
    reply = answer(session, check_reference(reference), command, raw, ask.said(raw["request_id"]))
    if reply["ok"]:
        return None
    error = reply["error"]
    return Refused(error["message"], code=error["code"], allowed=error.get("allowed", ()))


def do(ask: Ask, command: str, reference: str, raw: Mapping[str, Any]) -> None:
    """Do what a form says, in a transaction of its own. Raises what refused it."""
    with ask.house.database.transaction() as session:
        refusal = obey(ask, session, command, reference, raw)
    ask.house.wake()
    if refusal is not None:
        raise refusal


def _raw(ask: Ask, command: str) -> dict[str, Any]:
    raw: dict[str, Any] = {"request_id": asked_id(ask)}
    for name in FIELDS[command]:
        value = ask.typed(name)
        if value:
            raw[name] = str(ask.day(name)) if name in DAYS else value
    return raw


def previewed(ask: Ask, reference: str) -> Preview[Any]:
    """What the command that the form names would bill; nothing is written."""
    command = ask.typed("command")
    if command not in FIELDS:
        raise Worded(ask.say("The form asks for something that this page does not know."))
    ask.require(permission_of(command))
    body, said = commands.validated(command, _raw(ask, command)), ask.said()

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
        do(ask, command, reference, _raw(ask, command))
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
