"""What every table shares: names of constraints, closed sets of words, bounds."""

from sqlalchemy import CheckConstraint
from sqlmodel import SQLModel

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
SQLModel.metadata.naming_convention = NAMING

QUANTITY_LIMIT = 10**17
"""Largest scaled quantity of one record: 92 of them still fit a 64-bit daily sum; the rollup's CHECK stops the 93rd."""

METRIC_KINDS = ("delta", "cumulative", "gauge", "state")
OBJECT_STATUSES = ("draft", "pending", "active", "suspended", "terminated")
SCHEDULE_STATUSES = ("planned", "valued", "invoiced", "settled", "cancelled")
OPEN_STATUSES = ("planned", "valued")
"""Of a schedule that is still to be charged: only these are in the index of what is due."""
ITEM_STATUSES = ("running", "ended", "terminated", "replaced", "cancelled")
RENEWALS = ("none", "automatic")
INVOICE_STATUSES = ("draft", "issued")
APPROVALS = ("none", "required")
DATINGS = ("period_end", "issue_day")
COUPON_RESTS = ("carry", "drop")
BOUNDARIES = ("carried", "interpolated")
READING_DECISIONS = ("accept", "reject", "exchange")
INVOICE_KINDS = ("invoice", "credit_note")
INVOICE_PURPOSES = ("period", "threshold", "gesture", "cancellation")
QUARANTINE_STATUSES = ("waiting", "replayed", "discarded")
OUTBOX_STATUSES = ("waiting", "sent", "expired")
COMMAND_STATUSES = ("requested", "sent", "acknowledged", "failed", "expired")
DOCUMENT_FORMS = ("pdf", "factur-x", "ubl")
GAP_REASONS = ("session_lost", "broker_drops", "sequence", "silent", "limit_exceeded")
GAP_CLEARINGS = ("register", "arrived", "accepted")
INCOMPLETE_RULES = ("note", "hold")
CLOSE_STATUSES = ("running", "done", "failed")
DELIVERY_STATUSES = ("waiting", "delivered", "failed")
ROLES = ("operator", "billing", "reader", "administrator")
SCOPES = ("item", "subscription", "contract")
CHARGE_TYPES = ("one_time", "recurring", "usage", "event", "commitment")


def one_of(column: str, words: tuple[str, ...]) -> CheckConstraint:
    """A CHECK that `column` holds one of `words`."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(word) for word in words)})", name=column)


class Table(SQLModel):
    """What all tables share: nothing but the metadata."""
