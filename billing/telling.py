"""What objects are told by themselves, as their plans say, and the activations that wait for an object's answer.

The law: an activation that waits has no contract item; its answer makes one from the local day of the answer on, and
without an answer in time the object stays pending, with an event that says so.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Literal

from sqlmodel import Session

from billing.core.durations import duration
from billing.core.errors import Conflict, Invalid
from billing.downlink import NewCommand, send_many
from billing.timeline import Said
from storage import catalogue as declared
from storage import downlink
from storage.registry import ObjectRow
from storage.types import canonical_json

Starts = Literal["at_once", "on_acknowledgement"]
ACTIVATE = "activate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a plan has its objects told: after which commands, for how long, and whether service waits for it."""

    after: frozenset[str] = frozenset()
    expires_in: timedelta | None = None
    starts: Starts = "at_once"


NOTHING = Told()


def told_by(session: Session, version_ids: Collection[int]) -> Mapping[int, Told]:
    """By plan version, what its plan says; those that say nothing are left out."""
    return MappingProxyType(
        {
            version: Told(
                after=frozenset(said["after"]),
                expires_in=duration(said["expires"]) if said.get("expires") else None,
                starts=said["starts"],
            )
            for version, said in declared.plan_commands(session, version_ids).items()
        }
    )


def tell(session: Session, row: ObjectRow, command: str, version_ids: Collection[int], said: Said) -> None:
    """Tell one object what a command did to it, where the plan of any of its items says so."""
    plans = [told for _, told in sorted(told_by(session, version_ids).items()) if command in told.after]
    if plans:
        send_many(session, [row], NewCommand(name=command, expires_in=plans[0].expires_in), keyed(command, said))


def tell_activated(session: Session, rows: Sequence[tuple[ObjectRow, Told]], said: Said) -> None:
    """Tell many objects that they are in service, where their plans say so."""
    groups: dict[timedelta | None, list[ObjectRow]] = {}
    for row, told in rows:
        if ACTIVATE in told.after:
            groups.setdefault(told.expires_in, []).append(row)
    for expires_in, members in groups.items():
        send_many(session, members, NewCommand(name=ACTIVATE, expires_in=expires_in), keyed(ACTIVATE, said))


def ask_to_activate(session: Session, asked: Sequence[tuple[ObjectRow, Told, Mapping[str, Any]]], said: Said) -> None:
    """Tell objects to begin; what each activation asked for is done once its object has acknowledged."""
    groups: dict[tuple[timedelta | None, str], list[ObjectRow]] = {}
    purposes: dict[str, Mapping[str, Any]] = {}
    for row, told, purpose in asked:
        text = canonical_json(dict(purpose))
        purposes[text] = purpose
        groups.setdefault((told.expires_in, text), []).append(row)
    for (expires_in, text), members in groups.items():
        new = NewCommand(name=ACTIVATE, expires_in=expires_in, purpose={ACTIVATE: dict(purposes[text])})
        send_many(session, members, new, keyed(ACTIVATE, said))


def check_may_wait(reference: str, *, starts_on: object, waiting: str | None) -> None:
    """Raises Invalid for an activation that names its first day, and Conflict where one waits already."""
    if starts_on is not None:
        raise Invalid(
            f"the service of {reference} starts when it acknowledges, so leave out starts_on; "
            "or activate it with starts: at_once"
        )
    if waiting is not None:
        raise Conflict(f"an activation of {reference} waits for its answer already (command {waiting})")


def waiting(session: Session, object_ids: Collection[int]) -> dict[int, str]:
    """The request ids of the activations that wait for an answer, by object."""
    return downlink.waiting_for_purpose(session, object_ids)


def keyed(command: str, said: Said) -> Said:
    """The same, under a request id of the object's own: the back office's id is one of each command."""
    return replace(said, key=f"{command}:{said.key}"[-downlink.REQUEST_ID_LIMIT :] if said.key else "")
