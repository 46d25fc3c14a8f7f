"""What every command on an object begins and ends with: the object found and locked, and the fact recorded.

The law: a command that is refused has changed nothing; one that is done left an event, the retained state, and a new
revision of every contract that it touched.
"""

from collections.abc import Collection, Mapping
from typing import Any

from sqlmodel import Session

from billing.activation import ObjectInfo, item_json, publish_states
from billing.core.lifecycle import ObjectStatus, next_status
from billing.timeline import Said, event_row, free_key, known_object
from storage import catalogue as declared
from storage import registry
from storage.items import ItemRow

__all__ = ["Said", "commanded", "record", "shown"]


def commanded(session: Session, reference: str, command: str) -> tuple[registry.ObjectRow, ObjectStatus]:
    """The object, locked until the commit, and its status after `command`. Raises NotFound or Refused."""
    row = known_object(registry.find(session, [reference], lock=True), reference)
    return row, next_status(ObjectStatus(row.status), command)


def shown(item: ItemRow) -> dict[str, Any]:
    """A contract item as replies and events show it."""
    return item_json(
        name=item.name,
        contract=item.contract,
        subscription=item.subscription,
        starts_on=item.starts_on,
        ends_on=item.ends_on,
    )


def record(
    session: Session,
    row: registry.ObjectRow,
    status: ObjectStatus,
    kind: str,
    said: Said,
    *,
    contracts: Collection[int] = (),
    item: ItemRow | None = None,
    detail: Mapping[str, Any] | None = None,
) -> ObjectInfo:
    """Write the status, the event and the retained state, and raise the contracts' revisions."""
    registry.set_status(session, [row.id], status.value)
    key = free_key(session, row.id, kind, said.now, said.key)
    event = event_row(kind, object_id=row.id, now=said.now, origin=said.origin, key=key, detail=detail)
    registry.add_events(session, [event])
    declared.raise_revisions(session, contracts)
    info = ObjectInfo(reference=row.reference, status=status.value, contract_item=None if item is None else shown(item))
    publish_states(session, [info], said.now, said.topic_devices)
    return info
