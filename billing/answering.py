"""What objects answer to commands, what that brings about, and what the end of a command's time does.

The law: an answer counts once. What comes twice, late or from another object changes nothing more.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session

from billing.activation import Activation, activate
from billing.core.device_commands import LATE_EVENT, NOT_ACTIVATED, STEP_EVENTS, CommandStatus, Step, after
from billing.core.errors import BillingError
from billing.downlink import REASON_LIMIT, Answer, record
from billing.telling import ACTIVATE
from billing.timeline import event_row
from storage import downlink, registry
from storage.tables import DeviceCommand

EXPIRED_AT_A_TIME = 500
"""Commands that expire in one transaction: others write in between."""


def answer(session: Session, said: Answer, now: datetime, origin: str, *, topic_devices: str = "devices") -> str | None:
    """Settle the command that an object answered; a sentence where it was given no such command.

    A repeat changes nothing. An answer that was received after the expiry is kept as `command_late`, once.
    """
    if said.ids:
        command = downlink.answered_by(session, said.object_id, said.ids)
        if command is None:
            return f"the object was given no command with the request id {said.ids[0][:80]!r}"
    else:
        command = downlink.oldest_open(session, said.object_id, said.route)
        if command is None:
            return None  # it tells its state without being asked
    if command.waits_until is not None and said.received_at > command.expires_at:
        _settle(session, command, "expire", now=now, at=command.expires_at, origin="engine")
        command.status = CommandStatus.EXPIRED.value
    if command.status == CommandStatus.EXPIRED:
        if not downlink.told_late(session, said.object_id, command.request_id):
            detail = {"status": said.status, "reason": said.reason[:REASON_LIMIT]}
            record(session, command, LATE_EVENT, said.received_at, origin, detail, recorded_at=now)
        return None
    step: Step = "acknowledge" if said.status == "acknowledged" else "fail"
    if after(CommandStatus(command.status), step) is None:
        return None
    _settle(session, command, step, now=now, at=said.received_at, origin=origin, answer=said)
    if step == "acknowledge" and command.purpose is not None:
        _activate(session, command, command.purpose[ACTIVATE], said.received_at, topic_devices)
    return None


def any_overdue(session: Session, now: datetime) -> bool:
    """Whether there is any command to settle."""
    return downlink.any_overdue(session, now)


def expire(session: Session, now: datetime) -> int:
    """Settle the commands that nothing became of in time, a portion of them; how many."""
    found = downlink.overdue(session, now, EXPIRED_AT_A_TIME)
    for command in found:
        _settle(session, command, "expire", now=now, at=command.expires_at, origin="engine")
    return len(found)


def _settle(
    session: Session,
    command: DeviceCommand,
    step: Step,
    *,
    now: datetime,
    at: datetime,
    origin: str,
    answer: Answer | None = None,
) -> None:
    status = after(CommandStatus(command.status), step)
    assert status is not None  # noqa: S101 - whoever calls has looked
    reason = None if answer is None else answer.reason[:REASON_LIMIT] or None
    said = {} if answer is None else {"answered_at": at, "reason": reason}
    downlink.set_columns(session, command.id, status=status.value, waits_until=None, **said)
    detail = {} if reason is None else {"reason": reason}
    record(session, command, STEP_EVENTS[step], at, origin, detail, recorded_at=now)
    if command.purpose is not None and step != "acknowledge":
        why = reason or ("the object refused" if step == "fail" else "the object did not acknowledge in time")
        record(session, command, NOT_ACTIVATED, at, "engine", {"reason": why}, recorded_at=now)


def _activate(
    session: Session, command: DeviceCommand, asked: Mapping[str, Any], at: datetime, topic_devices: str
) -> None:
    """Make the contract item from the local day of the answer on; what stands in the way is an event."""
    row = registry.find_by_id(session, [command.object_id], lock=True)[command.object_id]
    request = Activation(reference=row.reference, starts="at_once", acknowledged=True, **asked)
    key = command.request_id
    (outcome,) = activate(session, [request], at, "engine", key, topic_devices=topic_devices)
    if isinstance(outcome, BillingError):
        event = event_row(
            NOT_ACTIVATED,
            object_id=row.id,
            now=at,
            origin="engine",
            key=key,
            detail={"command": command.name, "request_id": key, "reason": outcome.message},
        )
        registry.add_events(session, [event])
