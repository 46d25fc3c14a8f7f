"""Topic patterns with named wildcards: `site/{site}/meter/{object}` is one level each, `{object...}` is several.

The law: a pattern and its MQTT filter take the same topics, but for those that the filter cannot tell apart; a topic
that no pattern takes is no source's.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NAME = re.compile(r"\{([a-z][a-z0-9_]{0,30})(\.\.\.)?\}")
PATTERN_LIMIT = 500
LEVELS_LIMIT = 30


class PatternInvalid(ValueError):
    """The sentence says what is wrong with a topic pattern."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A compiled topic pattern; `names` are its wildcards in their order."""

    text: str
    names: tuple[str, ...]
    several_name: str | None
    """The wildcard that may stand for several levels."""
    filter: str
    _levels: tuple[str | None, ...]
    """A fixed level, or None for a wildcard of one level; the wildcard of several levels is at `_several`."""
    _several: int | None
    _named: tuple[str, ...]
    """The name of the wildcard at each level; empty where there is none."""

    def match(self, topic: str) -> Mapping[str, str] | None:
        """What the wildcards stand for in `topic`, or None when it is not of this pattern."""
        levels = topic.split("/")
        if self._several is None:
            if len(levels) != len(self._levels):
                return None
        else:
            extra = len(levels) - len(self._levels)
            if extra < 0:
                return None
            at = self._several
            levels[at : at + extra + 1] = ["/".join(levels[at : at + extra + 1])]
        found: dict[str, str] = {}
        for level, fixed, name in zip(levels, self._levels, self._named, strict=True):
            if fixed is None:
                if name:
                    found[name] = level
            elif fixed != level:
                return None
        if self._levels[0] is None and topic.startswith("$"):
            return None  # MQTT 5, 4.7.2: a wildcard does not reach them
        return found


def compile_pattern(text: str) -> Pattern:
    """The pattern behind `text`. Raises PatternInvalid."""
    levels = text.split("/")
    if not text or len(text) > PATTERN_LIMIT or len(levels) > LEVELS_LIMIT or not text.isprintable():
        raise PatternInvalid(f"a topic has up to {LEVELS_LIMIT} levels of printable characters, got {text[:80]!r}")
    fixed: list[str | None] = []
    named: list[str] = []
    several: int | None = None
    for place, level in enumerate(levels):
        wildcard = NAME.fullmatch(level)
        if level == "+" or (wildcard is not None and wildcard[2] is None):
            fixed.append(None)
            named.append("" if wildcard is None else wildcard[1])
        elif level == "#" or wildcard is not None:
            if several is not None:
                raise PatternInvalid(f"{text!r} has two wildcards of several levels; how to share them is not known")
            if level == "#" and place != len(levels) - 1:
                raise PatternInvalid(
                    f"{text!r}: # is the last level; name a wildcard {{name...}} to have more behind it"
                )
            several = place
            fixed.append(None)
            named.append("" if wildcard is None else wildcard[1])
        elif set(level) & set("+#{}"):
            raise PatternInvalid(
                f"{text!r}: {level!r} is neither a fixed level nor a whole wildcard; write {{name}} or {{name...}}"
            )
        else:
            fixed.append(level)
            named.append("")
    names = tuple(name for name in named if name)
    if len(set(names)) != len(names):
        raise PatternInvalid(f"{text!r} has one name twice")
    shown = ["+" if level is None else level for level in fixed]
    wanted = "/".join(shown if several is None else [*shown[:several], "#"])
    return Pattern(
        text=text,
        names=names,
        several_name=None if several is None else named[several] or None,
        filter=wanted,
        _levels=tuple(fixed),
        _several=several,
        _named=tuple(named),
    )


def filters_of(patterns: Sequence[Pattern]) -> tuple[str, ...]:
    """The fewest MQTT filters for these patterns: none that another one covers, so that nothing comes twice."""
    wanted = list(dict.fromkeys(pattern.filter for pattern in patterns))
    return tuple(one for one in wanted if not any(other != one and covers(other, one) for other in wanted))


def covers(wide: str, narrow: str) -> bool:
    """Whether every topic of the filter `narrow` is one of the filter `wide`."""
    ours, theirs = wide.split("/"), narrow.split("/")
    for place, level in enumerate(ours):
        if level == "#":
            return place > 0 or not theirs[0].startswith("$")
        if place >= len(theirs) or theirs[place] == "#":
            return False
        if level not in ("+", theirs[place]):
            return False
        if level == "+" and place == 0 and theirs[0].startswith("$"):
            return False
    return len(ours) == len(theirs)


def crowd(one: str, other: str) -> bool:
    """Whether two filters take so much in common that they cannot both be meant.

    A filter that begins with a wildcard meets many others in topics that nobody uses (`+/status/+` and
    `tele/+/SENSOR`): that alone is no conflict, but one that takes all of the other's is.
    """
    if not overlap(one, other):
        return False
    begins_open = one[0] in "+#" or other[0] in "+#"
    return not begins_open or covers(one, other) or covers(other, one)


def overlap(one: str, other: str) -> bool:
    """Whether there is a topic that both filters take."""
    ours, theirs = one.split("/"), other.split("/")
    if (ours[0].startswith("$") and theirs[0] in "+#") or (theirs[0].startswith("$") and ours[0] in "+#"):
        return False
    for left, right in zip(ours, theirs, strict=False):
        if "#" in (left, right):
            return True
        if left != right and "+" not in (left, right):
            return False
    longer = ours if len(ours) > len(theirs) else theirs
    return len(ours) == len(theirs) or longer[min(len(ours), len(theirs))] == "#"
