"""The kinds of text that a source is made of, each checked where it is read."""

from typing import Annotated, Literal

from pydantic import AfterValidator

from billing.core.errors import Invalid
from billing.core.lifecycle import check_reference
from gateway.sources import numbers
from gateway.sources.codecs import CODECS
from gateway.sources.paths import PathInvalid, compile_path
from gateway.sources.topics import PatternInvalid, compile_pattern
from gateway.telemetry import EVENT_KIND, OUR_EVENTS


def checked_path(text: str) -> str:
    """The path itself, when it can be read. Raises ValueError."""
    try:
        compile_path(text)
    except PathInvalid as error:
        raise ValueError(str(error)) from None
    return text


def _pattern(text: str) -> str:
    try:
        compile_pattern(text)
    except PatternInvalid as error:
        raise ValueError(str(error)) from None
    return text


def _factor(text: str) -> str:
    numbers.factor(text)
    return text


def _codec(text: str) -> str:
    if text not in CODECS:
        raise ValueError(f"no codec is called {text!r}; there are {', '.join(sorted(CODECS))}")
    return text


def _event(text: str) -> str:
    if not EVENT_KIND.fullmatch(text) or text in OUR_EVENTS:
        raise ValueError(f"{text!r} is no event that an object may report; write a word such as online")
    return text


def _reference(text: str) -> str:
    try:
        return check_reference(text)
    except Invalid as error:
        raise ValueError(error.message) from None


Path = Annotated[str, AfterValidator(checked_path)]
Reference = Annotated[str, AfterValidator(_reference)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Factor = Annotated[str, AfterValidator(_factor)]
Codec = Annotated[str, AfterValidator(_codec)]
Event = Annotated[str, AfterValidator(_event)]
Retained = Literal["accept", "ignore", "quarantine", "once"]
Paths = Path | list[Path]
"""Several are tried in their order: the first that is there counts."""
