"""Commands to connected objects: the states that they go through, as a table.

The law: an answer changes a command once. What comes after it was settled (a repeat, an answer after the expiry)
changes nothing.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

Step = Literal["send", "acknowledge", "fail", "expire"]


class CommandStatus(StrEnum):
    """Where a command to an object stands."""

    REQUESTED = "requested"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    FAILED = "failed"
    EXPIRED = "expired"


COMMAND_TRANSITIONS: Mapping[tuple[CommandStatus, Step], CommandStatus] = MappingProxyType(
    {
        (CommandStatus.REQUESTED, "send"): CommandStatus.SENT,
        # The answer may be stored before we have noted that the command left.
        (CommandStatus.REQUESTED, "acknowledge"): CommandStatus.ACKNOWLEDGED,
        (CommandStatus.REQUESTED, "fail"): CommandStatus.FAILED,
        (CommandStatus.REQUESTED, "expire"): CommandStatus.EXPIRED,
        (CommandStatus.SENT, "acknowledge"): CommandStatus.ACKNOWLEDGED,
        (CommandStatus.SENT, "fail"): CommandStatus.FAILED,
        (CommandStatus.SENT, "expire"): CommandStatus.EXPIRED,
    }
)
"""What each step makes of a command; a pair that is not here changes nothing."""
STEP_EVENTS: Mapping[Step, str] = MappingProxyType(
    {
        "send": "command_sent",
        "acknowledge": "command_acknowledged",
        "fail": "command_failed",
        "expire": "command_expired",
    }
)
"""The event on the object's timeline that each step is."""
REQUESTED_EVENT, LATE_EVENT = "command_requested", "command_late"
NOT_ACTIVATED = "activation_failed"
"""Where service was to start with the answer, and there was none."""
EVENTS = frozenset({*STEP_EVENTS.values(), REQUESTED_EVENT, LATE_EVENT, NOT_ACTIVATED})


def after(status: CommandStatus, step: Step) -> CommandStatus | None:
    """The status after a step, or None where the step changes nothing."""
    return COMMAND_TRANSITIONS.get((status, step))
