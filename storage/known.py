"""What a process remembers of a database between batches, so that it need not ask or write again.

The law: only what is committed is remembered, and losing all of it changes nothing but the time that work takes.
"""

from collections.abc import Iterable, Mapping

from storage.intake import Intake

OBJECTS_KEPT = 100_000
"""Objects remembered: some 30 MB; when there are more, it begins anew."""
PROPERTY_SETS_KEPT, PROPERTIES_LENGTH_KEPT = 50_000, 500
"""Sets of properties remembered, and of how many characters at most: some 20 MB where each has a hundred."""
LAST_SEEN_RESOLUTION_MICROS = 60_000_000
"""`last_seen_at` follows usage within a minute: writing it for every message would double what a message writes."""


class Known:
    """Ids of objects and of sets of properties, which never change, and when each was last written as heard."""

    def __init__(self) -> None:
        self.objects: dict[str, int] = {}
        self.property_sets: dict[str, int] = {}
        self.intake: Intake | None = None
        """What a batch is read by before its transaction has begun; whether it still stands is seen in it."""
        self._topics: dict[str, dict[str, int]] = {}
        self._heard: dict[int, int] = {}

    def news(self, heard: Mapping[int, int]) -> dict[int, int]:
        """Of objects heard at these instants (microseconds), those whose `last_seen_at` is to be written."""
        last = self._heard.get
        return {
            object_id: micros
            for object_id, micros in heard.items()
            if not 0 <= micros - last(object_id, -LAST_SEEN_RESOLUTION_MICROS) < LAST_SEEN_RESOLUTION_MICROS
        }

    def topics(self, prefix: str) -> Mapping[str, int]:
        """The ids of objects by the topic that they publish telemetry to, where such topics have this prefix."""
        return self._topics.setdefault(prefix, {})

    def learn_topics(self, prefix: str, topics: Iterable[tuple[str, str]]) -> None:
        """Remember of which object, by its reference, each topic is; those of unknown objects are passed over."""
        known = self._topics.setdefault(prefix, {})
        for topic, reference in topics:
            object_id = self.objects.get(reference)
            if object_id is not None:
                if len(known) >= OBJECTS_KEPT:
                    known.clear()
                known[topic] = object_id

    def learn_properties(self, sets: Mapping[str, int]) -> None:
        """Remember the ids of sets of properties by their canonical text; to be called after the commit."""
        short = {content: identity for content, identity in sets.items() if len(content) <= PROPERTIES_LENGTH_KEPT}
        if len(self.property_sets) + len(short) > PROPERTY_SETS_KEPT:
            self.property_sets.clear()
        self.property_sets.update(short)

    def learn(self, objects: Mapping[str, int], heard: Mapping[int, int]) -> None:
        """Remember what a transaction read and wrote; to be called after its commit."""
        if len(self.objects) + len(objects) > OBJECTS_KEPT:
            self.objects.clear()
        if len(self._heard) + len(heard) > OBJECTS_KEPT:
            self._heard.clear()
        self.objects.update(objects)
        self._heard.update(heard)
