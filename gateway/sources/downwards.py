"""What a source may say of commands: the topic and the body that carry them to its objects, and what answers them."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, field_validator, model_validator

from billing.catalogue.models import Model
from billing.core.errors import Invalid
from billing.core.templates import NAME, names_in
from gateway.sources.topics import Pattern as Compiled
from gateway.sources.topics import compile_pattern, covers
from gateway.sources.words import Codec, Path, Pattern, checked_path

COMMANDS_MAX = 50
NAMES_MAX = 50
ACKNOWLEDGES_MAX = 10
KNOWN = frozenset({"object", "reference", "command", "request_id", "uuid", "requested_at", "expires_at", "body"})
"""What every template may name, besides the wildcards of the source's topics."""


def _list(value: Any) -> Any:
    """One, or a list of them."""
    return value if value is None or isinstance(value, list) else [value]


def _id(text: str) -> str:
    return text if "{" in text else checked_path(text)


def _template(value: Any) -> Any:
    try:
        list(names_in(value))
    except Invalid as error:
        raise ValueError(error.message) from None
    return value


Id = Annotated[str, AfterValidator(_id)]
Ids = Annotated[list[Id], BeforeValidator(_list), Field(min_length=1, max_length=5)]


class AcknowledgeModel(Model):
    """What answers a command; without `request_id`, the oldest one of the object that waits is meant."""

    topic: Pattern
    codec: Codec = "json"
    object: str = "{object}"
    request_id: Ids | None = None
    """Paths, or templates over the topic, to what may be the id; `{id}` where the topic has it."""
    path: Path | None = None
    values: dict[str, Literal["acknowledged", "failed"]] | None = None
    status: Literal["acknowledged", "failed"] = "acknowledged"
    missing: Literal["acknowledged", "failed"] | None = None
    reason: Path | None = None

    @model_validator(mode="after")
    def _values_are_somewhere(self) -> "AcknowledgeModel":
        if self.path is None and (self.values is not None or self.missing is not None):
            raise ValueError("`values` and `missing` need `path`, which says where the value stands")
        return self


class CommandModel(Model):
    """How commands of these names, or of every name, go down."""

    names: list[Annotated[str, StringConstraints(min_length=1, max_length=64)]] | None = Field(
        default=None, max_length=NAMES_MAX
    )
    topic: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    body: Any = None
    acknowledge: Annotated[
        list[AcknowledgeModel] | None, BeforeValidator(_list), Field(max_length=ACKNOWLEDGES_MAX)
    ] = None

    @field_validator("topic", "body")
    @classmethod
    def _templates(cls, value: Any) -> Any:
        return _template(value)

    @field_validator("topic")
    @classmethod
    def _levels(cls, value: str) -> str:
        if set(NAME.sub("", value)) & set("+#") or not value.isprintable():
            raise ValueError(f"{value!r}: a command goes to one topic; name its parts: cmnd/{{object}}/POWER")
        return value


Commands = Annotated[list[CommandModel], BeforeValidator(_list), Field(max_length=COMMANDS_MAX)]


def wrong_names(commands: Iterable[CommandModel], patterns: Iterable[Compiled]) -> list[tuple[str, str]]:
    """(place, sentence) of each name in a template that nothing says, where these are the source's topics."""
    known = KNOWN.union(*(pattern.names for pattern in patterns))
    wrong: list[tuple[str, str]] = []
    for n, command in enumerate(commands):
        wrong += [
            (f"commands[{n}].{key}", f"{{{name}}} is no wildcard of a topic of the source")
            for key in ("topic", "body")
            for name in names_in(getattr(command, key))
            if name.split(".")[0] not in known
        ]
        for m, said in enumerate(command.acknowledge or ()):
            for name in (*names_in(said.object), *names_in(said.request_id or [])):
                if name not in compile_pattern(said.topic).names:
                    place = f"commands[{n}].acknowledge[{m}]"
                    wrong.append((place, f"{{{name}}} is no wildcard of the topic {said.topic!r}"))
    return wrong


def answer_topics(definition: Mapping[str, Any]) -> list[Compiled]:
    """The topics on which a stored source has its commands answered."""
    return [
        compile_pattern(said["topic"])
        for command in definition.get("commands", ())
        for said in command.get("acknowledge") or ()
    ]


def command_filters(definition: Mapping[str, Any]) -> list[str]:
    """The MQTT filters that hold every topic to which a stored source may send commands."""
    several = {compile_pattern(message["topic"]).several_name for message in definition["messages"]} - {None}
    found = list(dict.fromkeys(_filter(command["topic"], several) for command in definition.get("commands", ())))
    return [one for one in found if not any(other != one and covers(other, one) for other in found)]


def _filter(topic: str, several: set[str | None]) -> str:
    levels: list[str] = []
    for level in topic.split("/"):
        names = NAME.findall(level)
        if any(name in several for name in names):
            return "/".join([*levels, "#"])
        levels.append("+" if names else level)
    return "/".join(levels)


def placed(commands: Any, prefix: Any) -> Any:
    """Commands with `~` in their topics replaced by the prefix of the source."""
    if not isinstance(commands, list) or not isinstance(prefix, str):
        return commands
    return [_placed(command, prefix) for command in commands]


def _placed(value: Any, prefix: str) -> Any:
    if not isinstance(value, dict):
        return value
    made = {key: inner if key == "body" else _placed_inner(inner, prefix) for key, inner in value.items()}
    topic = made.get("topic")
    if isinstance(topic, str) and topic.startswith("~/"):
        made["topic"] = prefix + topic[1:]
    return made


def _placed_inner(value: Any, prefix: str) -> Any:
    return [_placed(it, prefix) for it in value] if isinstance(value, list) else _placed(value, prefix)
