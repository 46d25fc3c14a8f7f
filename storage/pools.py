"""The SQL of pools: their charges and schedules, the items in them, and what each object has of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, text
from sqlmodel import Session, col, select

from storage.copying import copy_rows
from storage.sets import in_chunks, list_value, listed
from storage.tables import Charge, ConnectedObject, Contract, ContractItem, InvoicingSchedule, LineShare

COLUMNS = "line_id, schedule_id, object_id, quantity, amount, share_minor"


ObjectPart = tuple[int, int, str, str, int]
"""Schedule, object, quantity and amount as exact texts, minor units: what one object has of a line."""


class ItemSpan(NamedTuple):
    """Days on which a contract has items of one kind; `line_starts_on` is where their service began."""

    subscription_id: int
    plan_version_id: int
    line_starts_on: date
    starts_on: date
    ends_on: date


class ItemInPools(NamedTuple):
    """A contract item, with what its part of a pool needs."""

    id: int
    object_id: int
    reference: str
    subscription_id: int
    plan_version_id: int
    line_starts_on: date
    starts_on: date
    ends_on: date
    start_at: Any
    end_at: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectCharged:
    """What one object has of a component that an invoice charged; of a credit note with its sign turned back."""

    schedule_id: int
    object_id: int
    reference: str
    component: str
    unit_price: Fraction
    quantity: Fraction
    amount: Fraction


def charges(session: Session) -> list[Charge]:
    """The pooled charges of all plan versions, in order of id."""
    return list(session.exec(select(Charge).where(Charge.scope != "item").order_by(col(Charge.id))).all())


def contracts(session: Session, ids: Iterable[int]) -> list[Contract]:
    """Contracts in order of id."""
    return list(in_chunks(session, ids, Contract, Contract.id))


def spans(session: Session, contract_id: int) -> list[ItemSpan]:
    """The different days of a contract's items."""
    table: Any = ContractItem
    query = (
        select(  # type: ignore[call-overload]  # SQLModel's overloads end at four columns
            table.subscription_id,
            table.plan_version_id,
            func.coalesce(table.term_starts_on, table.starts_on),
            table.starts_on,
            table.ends_on,
        )
        .where(table.contract_id == contract_id, table.status != "cancelled")
        .distinct()
    )
    return [ItemSpan(*row) for row in session.exec(query)]


def items(session: Session, contract_id: int) -> list[ItemInPools]:
    """The contract's items, in order of id."""
    table: Any = ContractItem
    query = (
        select(  # type: ignore[call-overload]  # SQLModel's overloads end at four columns
            table.id,
            table.object_id,
            ConnectedObject.reference,
            table.subscription_id,
            table.plan_version_id,
            func.coalesce(table.term_starts_on, table.starts_on),
            table.starts_on,
            table.ends_on,
            table.start_at,
            table.end_at,
        )
        .join(ConnectedObject, col(ConnectedObject.id) == table.object_id)
        .where(table.contract_id == contract_id, table.status != "cancelled")
        .order_by(table.id)
    )
    return [ItemInPools(*row) for row in session.exec(query)]


def schedules(session: Session, contract_id: int) -> Sequence[InvoicingSchedule]:
    """The schedules of a contract's pools, in order of time."""
    return session.exec(
        select(InvoicingSchedule)
        .where(InvoicingSchedule.contract_id == contract_id, col(InvoicingSchedule.contract_item_id).is_(None))
        .order_by(col(InvoicingSchedule.nominal_starts_on), col(InvoicingSchedule.id))
        .execution_options(populate_existing=True)
    ).all()


def save(session: Session, rows: Iterable[InvoicingSchedule]) -> None:
    """Write schedules, new or changed."""
    session.add_all(rows)
    session.flush()


def charged(session: Session, schedule_ids: Iterable[int]) -> set[int]:
    """Those of the schedules that are on any invoice."""
    return {row.schedule_id for row in in_chunks(session, schedule_ids, LineShare, LineShare.schedule_id)}


def event_moments(
    session: Session, *, kind: str, start: int, end: int, object_ids: Iterable[int]
) -> Iterator[tuple[int, int, str]]:
    """The events of one kind that objects had in `[start, end)`: object, microseconds, key; in that order."""
    connection = session.connection()
    rows = connection.execute(
        text(f"""
        SELECT object_id, occurred_at, key FROM object_event
        WHERE kind = :kind AND occurred_at >= :start AND occurred_at < :end
              AND object_id {listed(connection, "ids")}
        ORDER BY object_id, occurred_at, key
        """),
        {"kind": kind, "start": start, "end": end, "ids": list_value(connection, object_ids)},
    )
    return ((row[0], row[1], row[2]) for row in rows)


def used_later(session: Session, *, metric_id: int, at: int, object_ids: Iterable[int]) -> set[int]:
    """Those of the objects that have a contract item which charges a metric from an instant (microseconds) on."""
    connection = session.connection()
    rows = connection.execute(
        text(
            "SELECT DISTINCT i.object_id FROM contract_item i "
            "JOIN charge c ON c.plan_version_id = i.plan_version_id AND c.metric_id = :metric_id "
            f"WHERE i.status <> 'cancelled' AND i.start_at >= :at AND i.object_id {listed(connection, 'ids')}"
        ),
        {"metric_id": metric_id, "at": at, "ids": list_value(connection, object_ids)},
    )
    return {row[0] for row in rows}


def object_charged(session: Session, schedule_ids: Iterable[int]) -> list[ObjectCharged]:
    """What objects have of everything that issued invoices and credit notes have charged for schedules of pools."""
    connection = session.connection()
    rows = connection.execute(
        text(f"""
        SELECT p.schedule_id, p.object_id, o.reference, l.component, l.unit_price, p.quantity, p.amount, i.kind
        FROM object_share p
        JOIN connected_object o ON o.id = p.object_id
        JOIN invoice_line l ON l.id = p.line_id
        JOIN invoice i ON i.id = l.invoice_id AND i.status = 'issued' AND i.purpose <> 'gesture'
        WHERE p.schedule_id {listed(connection, "ids")}
        """),
        {"ids": list_value(connection, schedule_ids)},
    )
    return [
        ObjectCharged(
            schedule_id=schedule_id,
            object_id=object_id,
            reference=reference,
            component=component,
            unit_price=Fraction(unit_price),
            quantity=(-1 if kind == "credit_note" else 1) * Fraction(quantity),
            amount=(-1 if kind == "credit_note" else 1) * Fraction(amount),
        )
        for schedule_id, object_id, reference, component, unit_price, quantity, amount, kind in rows
    ]


def objects(session: Session, references: Iterable[str]) -> dict[str, int]:
    """Object ids by reference."""
    found = in_chunks(session, references, ConnectedObject, ConnectedObject.reference)
    return {row.reference: row.id for row in found if row.id is not None}


def store_shares(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write what objects have of lines: the line's id, then an ObjectPart."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"INSERT INTO object_share ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", list(rows))
    else:
        copy_rows(connection, "object_share", COLUMNS, rows)


def has_parts(session: Session, invoice_id: int) -> bool:
    """Whether any line of an invoice is of a pool with objects."""
    found = session.connection().execute(
        text(
            "SELECT 1 FROM object_share p JOIN invoice_line l ON l.id = p.line_id "
            "WHERE l.invoice_id = :invoice_id LIMIT 1"
        ),
        {"invoice_id": invoice_id},
    )
    return found.first() is not None


def left_of_parts(
    session: Session, invoice_id: int
) -> dict[tuple[int, int], dict[str, tuple[int, Fraction, Fraction, int]]]:
    """By line id and schedule id of an invoice, what credit notes for it have left of the part of each object.

    By reference: object id, quantity, amount, minor units.
    """
    rows = session.connection().execute(
        text("""
        SELECT l.id, p.schedule_id, o.reference, p.object_id, p.quantity, p.amount, p.share_minor, 1
        FROM invoice_line l
        JOIN object_share p ON p.line_id = l.id
        JOIN connected_object o ON o.id = p.object_id
        WHERE l.invoice_id = :invoice_id
        UNION ALL
        SELECT l.credits_line_id, p.schedule_id, o.reference, p.object_id, p.quantity, p.amount, p.share_minor, -1
        FROM invoice i
        JOIN invoice_line l ON l.invoice_id = i.id
        JOIN object_share p ON p.line_id = l.id
        JOIN connected_object o ON o.id = p.object_id
        WHERE i.credits_id = :invoice_id
        """),
        {"invoice_id": invoice_id},
    )
    found: dict[tuple[int, int], dict[str, tuple[int, Fraction, Fraction, int]]] = {}
    for line_id, schedule_id, reference, object_id, quantity, amount, minor, sign in rows:
        parts = found.setdefault((line_id, schedule_id), {})
        _, q, a, m = parts.get(reference, (object_id, Fraction(0), Fraction(0), 0))
        parts[reference] = (object_id, q + sign * Fraction(quantity), a + sign * Fraction(amount), m + sign * minor)
    return found


def item_windows(session: Session, schedule_id: int, object_id: int) -> list[tuple[int, int]]:
    """The instants `[start, end)`, in microseconds, at which an object was in the pool of a schedule."""
    rows = session.connection().execute(
        text("""
        SELECT CASE WHEN i.starts_on >= s.starts_on THEN i.start_at ELSE s.start_at END,
               CASE WHEN i.ends_on <= s.ends_on THEN i.end_at ELSE s.end_at END
        FROM invoicing_schedule s
        JOIN charge c ON c.id = s.charge_id
        JOIN contract_item i ON i.contract_id = s.contract_id AND i.object_id = :object_id
             AND i.status <> 'cancelled' AND i.starts_on < s.ends_on AND i.ends_on > s.starts_on
        JOIN charge own ON own.plan_version_id = i.plan_version_id AND own.name = c.name AND own.scope = c.scope
        WHERE s.id = :schedule_id AND (c.scope = 'contract' OR
              (i.subscription_id = s.subscription_id AND i.plan_version_id = c.plan_version_id))
        ORDER BY i.start_at
        """),
        {"schedule_id": schedule_id, "object_id": object_id},
    )
    found: list[tuple[int, int]] = []
    for start, end in rows:
        if found and start <= found[-1][1]:  # of two subscriptions at once: what it used counts once
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def parts_of_shares(session: Session) -> dict[tuple[int, int], tuple[Fraction, Fraction, int]]:
    """By line and schedule, what the parts of objects add up to: quantity, amount, minor units."""
    rows = session.connection().execute(
        text("SELECT line_id, schedule_id, quantity, amount, share_minor FROM object_share")
    )
    found: dict[tuple[int, int], tuple[Fraction, Fraction, int]] = {}
    for line_id, schedule_id, quantity, amount, minor in rows:
        was = found.get((line_id, schedule_id), (Fraction(0), Fraction(0), 0))
        now = (was[0] + Fraction(quantity), was[1] + Fraction(amount), was[2] + minor)
        found[line_id, schedule_id] = now
    return found
