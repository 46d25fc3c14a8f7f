"""What applying a catalogue file changes."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What applying a file does to one declared thing."""

    kind: Literal["created", "changed", "unchanged"]
    noun: str
    name: str
    detail: str = ""
