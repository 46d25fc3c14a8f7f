"""The seal of an issued invoice: one digest of all that it says, so that what is changed by hand afterwards is found.

The law: an invoice is sealed in the transaction that issues it, from the stored rows, each value as text.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, text
from sqlmodel import Session

ROWS_AT_ONCE = 10_000
_encode = json.JSONEncoder(ensure_ascii=False).encode
INVOICE = (
    "number, kind, contract_id, customer_id, month_starts_on, month_ends_on, issued_on, due_on, currency, "
    "minor_digits, net_minor, vat_minor, gross_minor, seller, buyer, corrects, issued_at, purpose, credits_id, "
    "reference, reason"
)
LINE = (
    "position, label, subscription_name, charge_name, component, group_values, period_starts_on, period_ends_on, "
    "adjustment, quantity, unit, unit_code, unit_price, vat_category, vat_rate, amount, net_minor, object_count"
)
# A fleet has many: the values, which need no escapes, come as the rest of their row's JSON, one text each.
SHARES = """
    SELECT l.invoice_id, l.position || '", "' || s.schedule_id || '", "' || s.quantity || '", "' || s.amount
           || '", "' || s.share_minor
    FROM line_share s JOIN invoice_line l ON l.id = s.line_id
    WHERE {of_which} ORDER BY l.invoice_id, l.position, s.schedule_id
"""
PARTS_OF_OBJECTS = """
    SELECT l.invoice_id, l.position, p.schedule_id, p.object_id, p.quantity, p.amount, p.share_minor
    FROM object_share p JOIN invoice_line l ON l.id = p.line_id
    WHERE {of_which} ORDER BY l.invoice_id, l.position, p.schedule_id, p.object_id
"""
COUPONS = """
    SELECT l.invoice_id, l.position, u.coupon_id, u.taken_minor
    FROM coupon_use u JOIN invoice_line l ON l.id = u.line_id
    WHERE {of_which} ORDER BY l.invoice_id, l.position
"""
VAT = """
    SELECT invoice_id, category, rate, base_minor, vat_minor, exemption_reason, exemption_code FROM invoice_vat
    WHERE {of_which} ORDER BY invoice_id, category, rate
"""
PARTS = (
    f"SELECT id, {INVOICE} FROM invoice WHERE {{which}} ORDER BY id",
    f"SELECT invoice_id, {LINE} FROM invoice_line WHERE {{of_which}} ORDER BY invoice_id, position",
    VAT,
    SHARES,
    PARTS_OF_OBJECTS,
    "SELECT id, usage_mark FROM invoice WHERE {which} AND usage_mark IS NOT NULL ORDER BY id",
    COUPONS,
    "SELECT id, incomplete FROM invoice WHERE {which} AND incomplete <> '[]' ORDER BY id",
)
"""What is sealed, table after table; each row begins with the invoice that it is a part of."""


def seal(session: Session, invoice_id: int) -> None:
    """Seal an invoice that has been written, lines, shares and number."""
    connection = session.connection()
    ((_, digest),) = _digests(connection, "id = :id", "invoice_id = :id", {"id": invoice_id})
    statement = text("INSERT INTO invoice_seal (invoice_id, digest) VALUES (:id, :digest)")
    connection.execute(statement, {"id": invoice_id, "digest": digest})


def seal_all(connection: Connection) -> None:
    """Seal every issued invoice that has no seal, once the tables are those of this release."""
    sealed = {row[0] for row in connection.execute(text("SELECT invoice_id FROM invoice_seal"))}
    rows = [{"id": key, "digest": digest} for key, digest in issued_digests(connection) if key not in sealed]
    if rows:
        connection.execute(text("INSERT INTO invoice_seal (invoice_id, digest) VALUES (:id, :digest)"), rows)


def issued_digests(connection: Connection) -> Iterator[tuple[int, str]]:
    """What every issued invoice says now, by its id."""
    issued = "status = 'issued'"
    return _digests(connection, issued, f"invoice_id IN (SELECT id FROM invoice WHERE {issued})", {})


def seals(connection: Connection) -> dict[int, str]:
    """What every issued invoice said when it was issued, by its id."""
    return {row[0]: row[1] for row in connection.execute(text("SELECT invoice_id, digest FROM invoice_seal"))}


def _digests(connection: Connection, which: str, of_which: str, values: dict[str, Any]) -> Iterator[tuple[int, str]]:
    found: dict[int, Any] = {}
    for place, part in enumerate(PARTS):
        query = text(part.format(which=which, of_which=of_which))
        for invoice_id, *row in connection.execute(query, values, execution_options={"yield_per": ROWS_AT_ONCE}):
            if part is SHARES:
                content = f'[{place}, "{row[0]}"]'
            else:
                content = _encode([place, *(None if it is None else str(it) for it in row)])
            found.setdefault(invoice_id, hashlib.sha256()).update(content.encode())
    return ((invoice_id, digest.hexdigest()) for invoice_id, digest in found.items())
