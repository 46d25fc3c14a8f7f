"""What was refused, told to a person: in their language what kind of refusal it is, and the sentence of the rule.

The law: the rules speak English, as the API and the control topics do; their sentence is marked as English, so that it
is read out as that, and never stands alone on a page of another language.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from billing.core.errors import BillingError, Invalid, NotFound, Refused
from console.languages import DEFAULT, Language, noted
from console.words import word
from storage.errors import DatabaseBusy, StorageError
from storage.invoices import UnknownInvoice

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "busy": noted("The database is busy; try again in a moment."),
        "conflict": noted("This contradicts something that is there already."),
        "forbidden": noted("Your role does not include this."),
        "invalid": noted("A value cannot be used as it was given."),
        "not_found": noted("There is nothing of this name."),
        "refused": noted("What stands there does not allow this."),
        "transition": noted("The present state does not allow this."),
        "unavailable": noted("The database cannot be used now."),
    }
)
"""What kind of refusal a code is; every other code is of a value."""


class Worded(Invalid):
    """A refusal whose sentence is in the reader's language already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A refusal as a page shows it: `lead` is empty where the sentence says it all in the reader's language."""

    sentence: str
    lead: str = ""
    language: str = DEFAULT


def told(language: Language, error: Exception) -> Told:
    """What to say of a refusal."""
    if isinstance(error, OverflowError):
        error = Invalid("a number or a day is beyond what can be kept")
    sentence = _capital(error.message if isinstance(error, BillingError) else str(error)) + "."
    if isinstance(error, BillingError) and error.allowed:
        allowed = ", ".join(word(language, "command", each) for each in error.allowed)
        sentence += " " + language.say(noted("Possible now: %(commands)s."), commands=allowed)
    if isinstance(error, Worded) or language.tag == DEFAULT:
        return Told(sentence=sentence, language=language.tag)
    return Told(sentence=sentence, lead=language.say(KINDS.get(_code(error), KINDS["invalid"])))


def status_of(error: Exception) -> int:
    """The HTTP status of the page that tells a refusal."""
    match error:
        case NotFound() | UnknownInvoice():
            return 404
        case Refused() if error.code == "forbidden":
            return 403
        case StorageError():
            return 503
        case _:
            return 422


def _code(error: Exception) -> str:
    match error:
        case BillingError():
            return error.code
        case UnknownInvoice():
            return "not_found"
        case DatabaseBusy():
            return "busy"
        case StorageError():
            return "unavailable"
        case _:
            return "invalid"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".")
