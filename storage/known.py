"""What a process remembers of a database between batches, so that it need not ask or write again.

The law: only what is committed is remembered, and losing all of it changes nothing but the time that work takes.
"""

from collections.abc import Mapping

OBJECTS_KEPT = 100_000
"""Objects remembered: some 20 MB; when there are more, it begins anew."""
LAST_SEEN_RESOLUTION_MICROS = 60_000_000
"""`last_seen_at` follows usage within a minute: writing it for every message would double what a message writes."""


class Known:
    """Ids of objects by reference, which never change, and when each was last written as heard."""

    def __init__(self) -> None:
        self.objects: dict[str, int] = {}
        self._heard: dict[int, int] = {}

    def news(self, heard: Mapping[int, int]) -> dict[int, int]:
        """Of objects heard at these instants (microseconds), those whose `last_seen_at` is to be written."""
        last = self._heard.get
        return {
            object_id: micros
            for object_id, micros in heard.items()
            if not 0 <= micros - last(object_id, -LAST_SEEN_RESOLUTION_MICROS) < LAST_SEEN_RESOLUTION_MICROS
        }

    def learn(self, objects: Mapping[str, int], heard: Mapping[int, int]) -> None:
        """Remember what a transaction read and wrote; to be called after its commit."""
        if len(self.objects) + len(objects) > OBJECTS_KEPT:
            self.objects.clear()
        if len(self._heard) + len(heard) > OBJECTS_KEPT:
            self._heard.clear()
        self.objects.update(objects)
        self._heard.update(heard)
