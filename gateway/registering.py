"""The objects that speak in a batch, with those that their source registers by itself."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlmodel import Session

from billing.registry import NewObject, create_objects
from gateway.message import Read, Rules
from gateway.telemetry import CommandAnswer
from storage import usage


def objects_of(
    session: Session, reads: Sequence[Read], ids: dict[str, int], rules: Rules, now: datetime
) -> tuple[dict[str, int], dict[str, int]]:
    """The ids of the objects that speak here, and those among them that are not in `ids`, which are known already.

    An object that nobody knows is in neither, unless its source registers it.
    """
    unknown = {read.reference for read in reads if read.reference not in ids}
    if not unknown:
        return ids, {}
    found = usage.object_ids(session, unknown)
    new = {it.reference for it in reads if not isinstance(it.content, CommandAnswer)} - ids.keys() - found.keys()
    if new and rules.sources.registers:
        found |= _registered(session, [it for it in reads if it.reference in new], rules, now)
    return {**{read.reference: ids[read.reference] for read in reads if read.reference in ids}, **found}, found


def _registered(session: Session, reads: Sequence[Read], rules: Rules, now: datetime) -> dict[str, int]:
    """Register the unknown objects that their source registers by itself; the ids of those that are there now."""
    new: dict[Literal["draft", "pending"], dict[str, NewObject]] = {"draft": {}, "pending": {}}
    for read in reads:
        source = rules.sources.of(read.message.topic) if read.part is not None else None
        if source is not None and source.unknown_objects != "quarantine":
            new[source.unknown_objects].setdefault(
                read.reference, NewObject(reference=read.reference, kind=source.kind)
            )
    references: set[str] = set()
    for status, objects in new.items():
        if objects:
            create_objects(session, list(objects.values()), status, now, "mqtt", topic_devices=rules.topic_devices)
            references |= objects.keys()
    return usage.object_ids(session, references)
