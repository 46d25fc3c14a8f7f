"""What of a message answers a command that a source carried down, compiled once.

The law: an answer is of the object that its topic names; what says nothing of a command is let go.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gateway.sources.paths import Find, compile_path
from gateway.telemetry import CommandAnswer, Unreadable

IDS_MAX = 20
"""Texts in one answer that may be the id of its command."""
REASON_LIMIT = 500
Status = Literal["acknowledged", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What of a document answers a command of one route, compiled."""

    route: str
    ids: tuple[Find | str, ...]
    """Paths, and templates over the wildcards of the topic."""
    find: Find | None
    values: Mapping[str, Status] | None
    status: Status
    missing: Status | None
    reason: Find | None

    def read(self, document: Any, captures: Mapping[str, str]) -> CommandAnswer | None:
        """The answer in a document, or None where it is none. Raises Unreadable."""
        status = self._status(document)
        if status is None:
            return None
        said_ids = (it.format_map(captures) if isinstance(it, str) else it(document) for it in self.ids)
        ids = tuple(text for value in said_ids for text in _texts(value))
        if self.ids and not ids:
            return None  # of something that we did not ask for
        if len(ids) > IDS_MAX:
            raise Unreadable("bad_shape", f"{len(ids)} ids in one answer, and up to {IDS_MAX} are looked at")
        reason = None if self.reason is None else self.reason(document)
        said = "" if reason is None or reason.__class__ in {dict, list} else str(reason)[:REASON_LIMIT]
        return CommandAnswer(ids=ids, status=status, reason=said, route=self.route)

    def _status(self, document: Any) -> Status | None:
        if self.find is None:
            return self.status
        value = self.find(document)
        if value is None:
            return self.missing
        if self.values is None:
            return self.status
        if value.__class__ is bool:
            value = "true" if value else "false"
        return None if value.__class__ in {dict, list} else self.values.get(str(value))


def _texts(value: Any) -> Sequence[str]:
    values = value if value.__class__ is list else [value]
    return [str(it) for it in values if it.__class__ in {str, int} and str(it)]


def compile_answers(source: str, commands: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], Answers]]:
    """Each answer that a stored source declares: as it was declared, and compiled."""
    return [
        (said, _answers(f"{source}/{place}", said))
        for place, command in enumerate(commands)
        for said in command.get("acknowledge", ())
    ]


def _answers(route: str, said: Mapping[str, Any]) -> Answers:
    ids = said.get("request_id") or ()
    path, reason = said.get("path"), said.get("reason")
    return Answers(
        route=route,
        ids=tuple(text if "{" in text else compile_path(text) for text in ids),
        find=None if path is None else compile_path(path),
        values=said.get("values"),
        status=said.get("status", "acknowledged"),
        missing=said.get("missing"),
        reason=None if reason is None else compile_path(reason),
    )
