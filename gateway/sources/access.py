"""The lines of Mosquitto's access control that sources need: the gateway reads, principals write."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gateway.sources.codecs import STATEFUL
from gateway.sources.declaration import topics_of
from gateway.sources.downwards import command_filters
from gateway.sources.source import compile_source
from gateway.sources.topics import compile_pattern


class Line(NamedTuple):
    """One line: for a user, or for everybody with `%u` (then `user` is None)."""

    source: str
    user: str | None
    text: str


def lines(
    definitions: Mapping[str, Mapping[str, Any]], *, gateway: str, principals: Sequence[str], own: bool
) -> list[Line]:
    """What the gateway may read, what each principal may write for every object, and with `own` each object itself."""
    found: list[Line] = []
    for name, definition in definitions.items():
        wanted = topics_of(definition)
        found += [Line(name, gateway, f"topic read {pattern}") for pattern in wanted]
        down = command_filters(definition)
        state = compile_source(name, definition, {}).state_topic
        down += [] if state is None else [state]
        found += [Line(name, gateway, f"topic write {pattern}") for pattern in (*_rebirths(definition), *down)]
        for principal in principals:
            found += [Line(name, principal, f"topic write {pattern}") for pattern in wanted]
            found += [Line(name, principal, f"topic read {pattern}") for pattern in down]
        if own:
            found += [Line(name, None, f"pattern write {topic}") for topic in _own_topics(definition)]
            found += [Line(name, None, f"pattern read {topic}") for topic in _own_commands(definition)]
    return found


def _rebirths(definition: Mapping[str, Any]) -> list[str]:
    """Where edge nodes are asked for their births."""
    asked = [
        compile_pattern("/".join("NCMD" if it == "{type}" else it for it in levels)).filter
        for message in definition["messages"]
        if message.get("codec") == STATEFUL
        for levels in [[it for it in message["topic"].split("/") if it != "{device}"]]
    ]
    return list(dict.fromkeys(asked))


def _own_topics(definition: Mapping[str, Any]) -> list[str]:
    """The topics with the object's own name in its place: only where the topic names it, on one level."""
    topics = []
    answers = [said for command in definition.get("commands", ()) for said in command.get("acknowledge") or ()]
    for message in (*definition["messages"], *answers):
        pattern = compile_pattern(message["topic"])
        named = message.get("object", "{object}") == "{object}" and message.get("reference") is None
        if named and pattern.several_name is None:
            levels = [_level(level) for level in message["topic"].split("/")]
            topics.append("/".join(levels))
    return list(dict.fromkeys(topics))


def _own_commands(definition: Mapping[str, Any]) -> list[str]:
    """Where the object itself listens, on topics that name it on one level."""
    topics = [command["topic"].split("/") for command in definition.get("commands", ())]
    own = ("/".join(_level(level) for level in levels) for levels in topics if "{object}" in levels)
    return list(dict.fromkeys(own))


def _level(level: str) -> str:
    return "%u" if level == "{object}" else "+" if level.startswith("{") else level
