"""The closed words of the domain as a person reads them, and the tone in which each is shown.

The law: a word that has no label here is shown as it is written, never left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from console.languages import Language, noted

Tone = Literal["good", "calm", "warm", "bad", "quiet"]


@dataclass(frozen=True, slots=True)
class Word:
    """A word's label, and how it is shown."""

    label: str
    tone: Tone = "quiet"


TABLES: Mapping[str, Mapping[str, Word]] = MappingProxyType(
    {
        "object": {
            "draft": Word(noted("Draft"), "quiet"),
            "pending": Word(noted("Pending"), "warm"),
            "active": Word(noted("Active"), "good"),
            "suspended": Word(noted("Suspended"), "bad"),
            "terminated": Word(noted("Terminated"), "quiet"),
        },
        "item": {
            "running": Word(noted("Running"), "good"),
            "ended": Word(noted("Ended"), "quiet"),
            "terminated": Word(noted("Terminated"), "quiet"),
            "replaced": Word(noted("Replaced"), "quiet"),
            "cancelled": Word(noted("Cancelled"), "quiet"),
        },
        "schedule": {
            "planned": Word(noted("Planned"), "quiet"),
            "valued": Word(noted("Valued"), "calm"),
            "invoiced": Word(noted("Invoiced"), "good"),
            "settled": Word(noted("Settled"), "good"),
            "cancelled": Word(noted("Cancelled"), "quiet"),
        },
        "invoice": {
            "draft": Word(noted("Waits for approval"), "warm"),
            "issued": Word(noted("Issued"), "good"),
        },
        "balance": {
            "open": Word(noted("Open"), "calm"),
            "partly_paid": Word(noted("Partly paid"), "warm"),
            "paid": Word(noted("Paid"), "good"),
            "overdue": Word(noted("Overdue"), "bad"),
            "credited": Word(noted("Credited"), "quiet"),
        },
        "kind": {
            "invoice": Word(noted("Invoice")),
            "credit_note": Word(noted("Credit note"), "calm"),
        },
        "event": {
            "created": Word(noted("Created"), "calm"),
            "confirmed": Word(noted("Confirmed"), "calm"),
            "activated": Word(noted("Activated"), "good"),
            "suspended": Word(noted("Suspended"), "bad"),
            "resumed": Word(noted("Resumed"), "good"),
            "terminated": Word(noted("Terminated"), "quiet"),
            "term_ended": Word(noted("Term ended"), "quiet"),
            "renewed": Word(noted("Renewed"), "good"),
            "exchanged": Word(noted("Hardware exchanged"), "warm"),
            "online": Word(noted("Online"), "good"),
            "offline": Word(noted("Offline"), "warm"),
            "plan_changed": Word(noted("Plan changed"), "calm"),
            "subscription_added": Word(noted("Subscription added"), "good"),
            "subscription_ended": Word(noted("Subscription ended"), "calm"),
            "price_changed": Word(noted("Price changed"), "calm"),
            "transferred": Word(noted("Moved to another contract"), "calm"),
        },
        "command": {
            "create": Word(noted("Create")),
            "confirm": Word(noted("Confirm")),
            "activate": Word(noted("Activate")),
            "suspend": Word(noted("Suspend")),
            "resume": Word(noted("Resume")),
            "terminate": Word(noted("Terminate")),
            "no_renew": Word(noted("Give notice")),
            "change_plan": Word(noted("Change the plan")),
            "change_price": Word(noted("Change the price")),
            "transfer": Word(noted("Move to another contract")),
        },
        "told": {
            "requested": Word(noted("Requested"), "calm"),
            "sent": Word(noted("Sent"), "calm"),
            "acknowledged": Word(noted("Acknowledged"), "good"),
            "failed": Word(noted("Failed"), "bad"),
            "expired": Word(noted("Expired"), "quiet"),
        },
        "quarantine": {
            "waiting": Word(noted("Waiting"), "warm"),
            "replayed": Word(noted("Taken in"), "good"),
            "discarded": Word(noted("Discarded"), "quiet"),
        },
        "reason": {
            "unknown_object": Word(noted("Unknown object"), "warm"),
            "unknown_metric": Word(noted("Unknown metric"), "warm"),
            "bad_json": Word(noted("Not JSON"), "bad"),
            "implausible_time": Word(noted("Implausible time"), "bad"),
            "conflict": Word(noted("Contradicts what is stored"), "bad"),
            "retained_unkeyed": Word(noted("A retained copy without a key"), "quiet"),
            "no_birth": Word(noted("Its birth is not known"), "warm"),
        },
        "outcome": {
            "usage": Word(noted("Usage"), "good"),
            "event": Word(noted("Event"), "good"),
            "nothing": Word(noted("Nothing"), "quiet"),
        },
        "held": {
            "drop": Word(noted("Lower than the one before"), "warm"),
            "rate": Word(noted("Rose too fast"), "warm"),
            "held": Word(noted("Held"), "quiet"),
            "proposed": Word(noted("Looks like an exchange"), "calm"),
        },
        "gap": {
            "session_lost": Word(noted("the broker lost the session"), "warm"),
            "broker_drops": Word(noted("the broker dropped messages"), "warm"),
            "sequence": Word(noted("numbers of messages are missing"), "warm"),
            "silent": Word(noted("objects are silent"), "warm"),
            "limit_exceeded": Word(noted("more came than the limit takes"), "warm"),
        },
        "run": {
            "running": Word(noted("Running"), "calm"),
            "done": Word(noted("Done"), "good"),
            "failed": Word(noted("Failed"), "bad"),
            "lost": Word(noted("Its process ended"), "bad"),
        },
        "role": {
            "operator": Word(noted("Device operator")),
            "billing": Word(noted("Billing")),
            "reader": Word(noted("Reader")),
            "administrator": Word(noted("Administrator")),
        },
        "charge": {
            "one_time": Word(noted("One-time")),
            "recurring": Word(noted("Recurring")),
            "usage": Word(noted("Usage")),
            "event": Word(noted("Event")),
            "commitment": Word(noted("Commitment")),
        },
        "unit": {
            "week": Word(noted("week")),
            "month": Word(noted("month")),
            "quarter": Word(noted("quarter")),
            "half year": Word(noted("half year")),
            "year": Word(noted("year")),
            "fee": Word(noted("fee")),
            "event": Word(noted("event")),
            "package": Word(noted("package")),
            "amount": Word(noted("amount")),
            "coupon": Word(noted("coupon")),
        },
        "every": {
            "month": Word(noted("every month")),
            "quarter": Word(noted("every quarter")),
            "semester": Word(noted("every half-year")),
            "year": Word(noted("every year")),
        },
        "timing": {
            "advance": Word(noted("in advance")),
            "arrears": Word(noted("in arrears")),
        },
    }
)


def word(language: Language, table: str, key: str) -> str:
    """The label of a word in a language; the word itself, in plain letters, when it has none."""
    found = TABLES[table].get(key)
    return key.replace("_", " ") if found is None else language.say(found.label)


def tone(table: str, key: str) -> Tone:
    """The tone in which a word is shown."""
    found = TABLES[table].get(key)
    return "quiet" if found is None else found.tone
