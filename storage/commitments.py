"""The SQL of commitments: the schedules that one counts, and those that were charged."""

from collections.abc import Iterable
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from sqlalchemy import bindparam, text
from sqlmodel import Session, select

from storage.sets import day_of
from storage.tables import Charge

SAME = {
    "item": "s.object_id = m.object_id AND s.contract_item_id = m.contract_item_id",
    "subscription": "s.subscription_id = m.subscription_id AND c.plan_version_id = k.plan_version_id",
    "contract": "s.contract_id = m.contract_id",
}
"""What a commitment of each scope counts."""


class Counted(NamedTuple):
    """A schedule that a commitment counts; `again` when the next close looks at it."""

    id: int
    amount: Fraction
    again: bool


class Charged(NamedTuple):
    """A charged schedule of a commitment, with its whole period."""

    id: int
    starts_on: date
    ends_on: date


def any_declared(session: Session) -> bool:
    """Whether any plan has a commitment."""
    return session.exec(select(Charge.id).where(Charge.type == "commitment").limit(1)).first() is not None


def counted(session: Session, schedule_id: int, *, scope: str, types: Iterable[str]) -> list[Counted]:
    """The schedules inside the whole period of a commitment's schedule, of charges of these types."""
    statement = text(f"""
        SELECT s.id, s.amount, s.revalue
        FROM invoicing_schedule m
        JOIN charge k ON k.id = m.charge_id
        JOIN invoicing_schedule s ON s.contract_id = m.contract_id AND s.status <> 'cancelled'
             AND s.nominal_starts_on >= m.nominal_starts_on AND s.nominal_ends_on <= m.nominal_ends_on
        JOIN charge c ON c.id = s.charge_id AND c.type IN :types
        WHERE m.id = :id AND {SAME[scope]}
    """).bindparams(bindparam("types", expanding=True))
    rows = session.connection().execute(statement, {"id": schedule_id, "types": list(types)})
    return [Counted(identity, Fraction(amount), bool(revalue)) for identity, amount, revalue in rows]


def charged(session: Session, contract_id: int) -> list[Charged]:
    """The schedules of a contract's commitments that were charged, or settled without a line."""
    rows = session.connection().execute(
        text("""
        SELECT s.id, s.nominal_starts_on, s.nominal_ends_on
        FROM invoicing_schedule s JOIN charge c ON c.id = s.charge_id AND c.type = 'commitment'
        WHERE s.contract_id = :contract_id AND s.status IN ('invoiced', 'settled')
        """),
        {"contract_id": contract_id},
    )
    return [Charged(identity, day_of(starts_on), day_of(ends_on)) for identity, starts_on, ends_on in rows]
