"""Sets of properties that usage carries: each stands once, under its canonical text.

The law: a set is written before the first record that carries it, in the same transaction, and never changes.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType

from sqlmodel import Session, col, select

from storage.bulk import write_many
from storage.sets import CHUNK, batched
from storage.tables import PropertySet

SETS_PARSED = 1_000
"""Sets kept as mappings: a fleet says few things, many times over."""
NO_PROPERTIES: Mapping[str, str] = MappingProxyType({})


def digest_of(content: str) -> str:
    """What a set is found by: its text may be longer than an index takes."""
    return hashlib.sha256(content.encode()).hexdigest()


def property_set_ids(session: Session, contents: Iterable[str], known: Mapping[str, int]) -> dict[str, int]:
    """The id of each canonical text; a set that is new is written. `known` are ids that need not be asked for."""
    wanted = set(contents)
    found = {content: known[content] for content in wanted if content in known}
    asked = {digest_of(content): content for content in wanted - found.keys()}
    if not asked:
        return found
    found |= _stored(session, asked)
    # In one order in every process, so that two that write the same sets never wait for each other.
    new = sorted((digest, content) for digest, content in asked.items() if content not in found)
    if new:
        sql = "INSERT INTO property_set (digest, content) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING"
        write_many(session.connection(), sql, new)
        found |= _stored(session, dict(new))
    return found


def _stored(session: Session, asked: Mapping[str, str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for chunk in batched(sorted(asked), CHUNK):
        query = select(PropertySet.digest, PropertySet.id).where(col(PropertySet.digest).in_(chunk))
        found.update({asked[digest]: identity for digest, identity in session.exec(query) if identity is not None})
    return found


def parsed(content: str | None) -> Mapping[str, str]:
    """A set as it was said; none of them where there is no text."""
    return NO_PROPERTIES if content is None else _parsed(content)


@lru_cache(maxsize=SETS_PARSED)
def _parsed(content: str) -> Mapping[str, str]:
    return MappingProxyType(json.loads(content))
