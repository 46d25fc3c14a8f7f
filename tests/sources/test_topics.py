"""Patterns and the MQTT filters that are subscribed for them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sources.topics import compile_pattern, covers, crowd, filters_of, overlap

levels = st.sampled_from(["a", "b", "", "$a"])
topics = st.lists(levels, min_size=1, max_size=4).map("/".join)
filters = st.tuples(
    st.lists(st.sampled_from(["a", "b", "+", "$a"]), min_size=1, max_size=3), st.sampled_from(["", "/#"])
).map(lambda parts: "/".join(parts[0]) + parts[1])


def matches(pattern: str, topic: str) -> bool:
    """MQTT 5, 4.7, written as it stands there."""
    ours, theirs = pattern.split("/"), topic.split("/")
    if ours[0] in "+#" and topic.startswith("$"):
        return False
    for place, level in enumerate(ours):
        if level == "#":
            return True
        if place >= len(theirs) or level not in ("+", theirs[place]):
            return False
    return len(ours) == len(theirs)


@pytest.mark.parametrize(
    "text,wanted,topic,found",
    [
        ("a/{object}/up", "a/+/up", "a/x/up", {"object": "x"}),
        ("a/{object}/up", "a/+/up", "a/x/y/up", None),
        ("z/{object...}", "z/#", "z/a/b", {"object": "a/b"}),
        ("z/{object...}/availability", "z/#", "z/a/b/availability", {"object": "a/b"}),
        ("z/{object...}/availability", "z/#", "z/availability", None),
        ("+/{object}/#", "+/+/#", "a/b/c/d", {"object": "b"}),
        ("$SYS/{node}/{object}", "$SYS/+/+", "$SYS/n/o", {"node": "n", "object": "o"}),
        ("+/x", "+/x", "$SYS/x", None),
    ],
)
def test_wildcards_stand_for_levels(text: str, wanted: str, topic: str, found: dict[str, str] | None) -> None:
    pattern = compile_pattern(text)
    assert pattern.filter == wanted
    assert pattern.match(topic) == found


@given(one=filters, other=filters, topic=topics)
def test_overlap_and_cover_are_what_topics_say(one: str, other: str, topic: str) -> None:
    if matches(one, topic) and matches(other, topic):
        assert overlap(one, other)
    if covers(one, other) and matches(other, topic):
        assert matches(one, topic)


def test_a_filter_that_another_covers_is_not_subscribed_twice() -> None:
    patterns = [compile_pattern(it) for it in ("z/{object...}", "z/{object...}/availability", "z/{object}")]
    assert filters_of(patterns) == ("z/#",)
    assert not overlap("a/+/b", "a/x/c")
    assert overlap("a/#", "a")


def test_filters_that_meet_only_where_nobody_publishes_are_no_conflict() -> None:
    assert not crowd("+/status/+", "tele/+/SENSOR")
    assert crowd("+/status/+", "shelly/status/x")
    assert crowd("#", "devices/+/telemetry")
    assert crowd("devices/x/+", "devices/+/telemetry")
