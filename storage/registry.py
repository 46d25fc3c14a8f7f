"""The registry: connected objects and the facts on their timelines; every read and write is set-based."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlmodel import Session, col, func, insert, or_, select, update

from storage import events
from storage.catalogue import chunks, take_turns
from storage.prefixes import begins_with
from storage.tables import ConnectedObject, Contract, Customer, ObjectEvent, ObjectPresence, Subscription
from storage.telling import tell_events
from storage.types import from_micros


class ObjectRow(NamedTuple):
    """What the use cases decide on."""

    id: int
    reference: str
    kind: str
    status: str
    customer_id: int | None
    contract_id: int | None
    subscription_id: int | None


class ListedObject(NamedTuple):
    """One object as a list shows it, with the names of whom it belongs to."""

    id: int
    reference: str
    kind: str
    status: str
    attributes: dict[str, Any]
    created_at: datetime
    customer: str | None
    contract: str | None
    subscription: str | None


def find(session: Session, references: Collection[str], *, lock: bool = False) -> dict[str, ObjectRow]:
    """The objects with these references, by reference; with `lock`, nobody else changes them until the commit."""
    return {row.reference: row for row in _find(session, col(ConnectedObject.reference), references, lock=lock)}


def find_by_id(session: Session, ids: Collection[int], *, lock: bool = False) -> dict[int, ObjectRow]:
    """The objects with these ids, by id; with `lock`, nobody else changes them until the commit."""
    return {row.id: row for row in _find(session, col(ConnectedObject.id), ids, lock=lock)}


def _find(session: Session, column: Any, values: Collection[Any], *, lock: bool) -> list[ObjectRow]:
    table: Any = ConnectedObject
    rows: list[ObjectRow] = []
    for part in chunks(values):
        query = (
            select(*(getattr(table, name) for name in ObjectRow._fields))
            .where(column.in_(part))
            .order_by(table.reference)
        )
        rows += [ObjectRow(*row) for row in session.exec(query.with_for_update() if lock else query)]
    return rows


def taken(session: Session, references: Collection[str]) -> set[str]:
    """Which references are registered; nobody else registers any until the commit."""
    take_turns(session, "registry")
    return set(find(session, references))


def add_objects(session: Session, rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Write new objects, one mapping of columns each; gives their ids by reference."""
    if not rows:
        return {}
    session.exec(insert(ConnectedObject), params=rows)
    return {ref: row.id for ref, row in find(session, [row["reference"] for row in rows]).items()}


def set_status(session: Session, ids: Collection[int], status: str, **owners: int) -> None:
    """Give the objects `status`, and the customer_id, contract_id and subscription_id in `owners`."""
    for part in chunks(ids):
        session.exec(update(ConnectedObject).where(col(ConnectedObject.id).in_(part)).values(status=status, **owners))


def add_events(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append facts to timelines, one mapping of columns each; charges on them are valued again where it is late."""
    if rows:
        session.exec(insert(ObjectEvent), params=rows)
        tell_events(session, rows)
        events.revalue(session, rows, max(row["recorded_at"] for row in rows))


def event_count(session: Session, object_id: int, kind: str, occurred_at: datetime) -> int:
    """How many events of this kind the object has at exactly this instant."""
    return session.exec(
        select(func.count())
        .select_from(ObjectEvent)
        .where(
            ObjectEvent.object_id == object_id,
            ObjectEvent.kind == kind,
            ObjectEvent.occurred_at == occurred_at,
        )
    ).one()


def timeline(session: Session, object_id: int, limit: int = 1000) -> Sequence[ObjectEvent]:
    """The facts of one object in the order of time; of more than `limit`, the newest."""
    newest = session.exec(
        select(ObjectEvent)
        .where(ObjectEvent.object_id == object_id)
        .order_by(col(ObjectEvent.occurred_at).desc(), col(ObjectEvent.id).desc())
        .limit(limit)
    ).all()
    return newest[::-1]


def presence(session: Session, object_id: int) -> ObjectPresence | None:
    """When the object was last heard, if ever."""
    return session.get(ObjectPresence, object_id)


def list_objects(
    session: Session,
    *,
    references: Collection[str] | None = None,
    status: str | None = None,
    contract: str | None = None,
    customer: str | None = None,
    subscription: str | None = None,
    kind: str | None = None,
    prefix: str = "",
    after: str = "",
    limit: int = 1000,
) -> list[ListedObject]:
    """Objects in the order of reference, those after the reference `after`, at most `limit`.

    Each condition that is given must hold; `prefix` is what the reference begins with. The names are looked up first,
    so that each of them is read by an index that is in the order of reference.
    """
    table: Any = ConnectedObject
    columns: list[Any] = [
        *(getattr(table, name) for name in ListedObject._fields[:6]),
        Customer.reference,
        Contract.name,
        Subscription.name,
    ]
    query = (
        select(*columns)
        .select_from(ConnectedObject)
        .outerjoin(Customer, table.customer_id == Customer.id)
        .outerjoin(Contract, table.contract_id == Contract.id)
        .outerjoin(Subscription, table.subscription_id == Subscription.id)
        .where(table.reference > after)
        .order_by(table.reference)
        .limit(limit)
    )
    if references is not None:
        query = query.where(table.reference.in_(list(references)))
    for column, wanted in ((table.status, status), (table.kind, kind)):
        if wanted is not None:
            query = query.where(column == wanted)
    if contract is not None:
        query = query.where(table.contract_id.in_(_ids(session, select(Contract.id).where(Contract.name == contract))))
    if customer is not None:
        whose = select(Customer.id).where(Customer.reference == customer)
        query = query.where(table.customer_id.in_(_ids(session, whose)))
    if subscription is not None:
        taken = select(Subscription.id).where(Subscription.name == subscription)
        query = query.where(table.subscription_id.in_(_ids(session, taken)))
    if prefix:
        query = query.where(begins_with(session, table.reference, prefix))
    return [ListedObject(*row) for row in session.exec(query)]


def _ids(session: Session, query: Any) -> list[int]:
    return list(session.exec(query))


def events_of(
    session: Session, object_id: int, *, before: tuple[int, int] | None = None, limit: int = 100
) -> Sequence[ObjectEvent]:
    """The facts of one object, the newest first; with `before`, those before that (microseconds, id)."""
    query = (
        select(ObjectEvent)
        .where(ObjectEvent.object_id == object_id)
        .order_by(col(ObjectEvent.occurred_at).desc(), col(ObjectEvent.id).desc())
        .limit(limit)
    )
    if before is not None:
        instant = from_micros(before[0])
        query = query.where(
            col(ObjectEvent.occurred_at) <= instant,
            or_(col(ObjectEvent.occurred_at) < instant, col(ObjectEvent.id) < before[1]),
        )
    return session.exec(query).all()


def count_by_status(session: Session) -> dict[str, int]:
    """How many objects are in each status."""
    query = select(ConnectedObject.status, func.count()).group_by(ConnectedObject.status)
    return dict(session.exec(query).all())
