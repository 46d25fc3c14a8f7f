"""The state machines as tables; a refused transition answers with what is allowed instead."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from billing.core.errors import Invalid, Refused

REFERENCE_LIMIT = 128
"""Characters of an object's reference: it is a level of MQTT topics and a cell in extractions."""


class ObjectStatus(StrEnum):
    """Where a connected object stands in its life."""

    DRAFT = "draft"
    PENDING = "pending"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    TERMINATED = "terminated"


TRANSITIONS: Mapping[tuple[ObjectStatus, str], ObjectStatus] = MappingProxyType(
    {
        (ObjectStatus.DRAFT, "confirm"): ObjectStatus.PENDING,
        (ObjectStatus.DRAFT, "activate"): ObjectStatus.ACTIVE,  # confirms it first, with both events
        (ObjectStatus.DRAFT, "terminate"): ObjectStatus.TERMINATED,
        (ObjectStatus.PENDING, "activate"): ObjectStatus.ACTIVE,
        (ObjectStatus.PENDING, "terminate"): ObjectStatus.TERMINATED,
        (ObjectStatus.ACTIVE, "suspend"): ObjectStatus.SUSPENDED,
        (ObjectStatus.ACTIVE, "change_plan"): ObjectStatus.ACTIVE,
        (ObjectStatus.ACTIVE, "change_price"): ObjectStatus.ACTIVE,
        (ObjectStatus.ACTIVE, "transfer"): ObjectStatus.ACTIVE,
        (ObjectStatus.ACTIVE, "no_renew"): ObjectStatus.ACTIVE,
        (ObjectStatus.ACTIVE, "terminate"): ObjectStatus.TERMINATED,
        (ObjectStatus.SUSPENDED, "resume"): ObjectStatus.ACTIVE,
        (ObjectStatus.SUSPENDED, "change_plan"): ObjectStatus.SUSPENDED,
        (ObjectStatus.SUSPENDED, "change_price"): ObjectStatus.SUSPENDED,
        (ObjectStatus.SUSPENDED, "transfer"): ObjectStatus.SUSPENDED,
        (ObjectStatus.SUSPENDED, "no_renew"): ObjectStatus.SUSPENDED,
        (ObjectStatus.SUSPENDED, "terminate"): ObjectStatus.TERMINATED,
    }
)
"""What each command makes of an object."""

TERM_END_TRANSITIONS: Mapping[ObjectStatus, ObjectStatus] = MappingProxyType(
    {ObjectStatus.ACTIVE: ObjectStatus.PENDING, ObjectStatus.SUSPENDED: ObjectStatus.PENDING}
)
"""What the end of the last running term makes of an object; it is the engine's, never a command."""


class ScheduleStatus(StrEnum):
    """Where an invoicing schedule stands."""

    PLANNED = "planned"
    VALUED = "valued"
    INVOICED = "invoiced"
    SETTLED = "settled"
    CANCELLED = "cancelled"


_OPEN = (ScheduleStatus.PLANNED, ScheduleStatus.VALUED)
_CHARGED = (ScheduleStatus.INVOICED, ScheduleStatus.SETTLED)
SCHEDULE_TRANSITIONS: Mapping[tuple[ScheduleStatus, str], ScheduleStatus] = MappingProxyType(
    {(status, "value"): ScheduleStatus.VALUED for status in _OPEN}
    | {(status, "invoice"): ScheduleStatus.INVOICED for status in (*_OPEN, *_CHARGED)}
    | {(status, "settle"): ScheduleStatus.SETTLED for status in (*_OPEN, *_CHARGED)}
    | {(status, "cancel"): ScheduleStatus.CANCELLED for status in (*_OPEN, *_CHARGED)}
    | {
        # What was charged for a cancelled one is given back; it stays cancelled.
        (ScheduleStatus.CANCELLED, "invoice"): ScheduleStatus.CANCELLED,
        (ScheduleStatus.CANCELLED, "settle"): ScheduleStatus.CANCELLED,
        # A pool that has days again where they were taken from it.
        (ScheduleStatus.CANCELLED, "plan"): ScheduleStatus.PLANNED,
        (ScheduleStatus.CANCELLED, "revalue"): ScheduleStatus.SETTLED,
    }
)
"""What each step of the engine makes of a schedule."""


def allowed_commands(status: ObjectStatus) -> tuple[str, ...]:
    """The commands that an object in `status` takes."""
    return tuple(command for state, command in TRANSITIONS if state is status)


def next_status(status: ObjectStatus, command: str) -> ObjectStatus:
    """The status after `command`. Raises Refused, with the commands that are allowed."""
    try:
        return TRANSITIONS[status, command]
    except KeyError:
        raise _refusal("object", status, command, allowed_commands(status)) from None


def check_activation(status: ObjectStatus, *, further: bool) -> None:
    """Raises Refused unless an object in `status` may be activated, or, active, take a `further` subscription."""
    if not (further and status is ObjectStatus.ACTIVE):
        next_status(status, "activate")


def next_schedule_status(status: str, step: str) -> ScheduleStatus:
    """The status after the engine's `step`. Raises Refused, with the steps that are allowed."""
    try:
        return SCHEDULE_TRANSITIONS[ScheduleStatus(status), step]
    except KeyError:
        allowed = tuple(word for state, word in SCHEDULE_TRANSITIONS if state == status)
        raise _refusal("schedule", status, step, allowed) from None


def check_reference(reference: str) -> str:
    """The reference itself, when it can be a level of an MQTT topic; raises Invalid otherwise.

    1 to 128 printable characters, without `/`, `+` and `#` (MQTT 5, 4.7.1), blanks at its ends, or a `$` in front.
    """
    if not 1 <= len(reference) <= REFERENCE_LIMIT:
        raise Invalid(
            f"a reference has 1 to {REFERENCE_LIMIT} characters, got {len(reference)}", code="invalid_reference"
        )
    if not reference.isprintable() or set(reference) & set("/+#") or reference.startswith("$"):
        raise Invalid(
            f"reference {reference!r} cannot be part of a topic; leave out '/', '+', '#', control characters "
            "and a leading '$'",
            code="invalid_reference",
        )
    if reference != reference.strip():
        raise Invalid(f"reference {reference!r} begins or ends with a blank; remove it", code="invalid_reference")
    return reference


def _refusal(noun: str, status: str, command: str, allowed: tuple[str, ...]) -> Refused:
    instead = f"allowed: {', '.join(allowed)}" if allowed else "this status is final"
    article = "an" if status[0] in "aeiou" else "a"
    return Refused(f"cannot {command} {article} {status} {noun}; {instead}", code="transition", allowed=allowed)
