"""Following the numbers of messages in the transaction that takes them in: jumps are gaps, late ones fill them.

The law: a number that comes again changes nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlmodel import Session

from gateway.sources.births import Skipped
from gateway.sources.numbering import Numbered, State, follow, without
from storage import numbering, usage
from storage.numbering import Jump


def follow_numbers(session: Session, said: Sequence[Numbered], objects: Mapping[str, int], now: datetime) -> None:
    """Follow the numbers of the messages of a batch, in the order of arrival; nothing of unknown objects."""
    if not said:
        return
    ids = _ids(session, {each.reference for each in said}, objects)
    keyed = [((ids[each.reference], each.source), each) for each in said if each.reference in ids]
    last = {key: State(*state) for key, state in numbering.known(session, {key for key, _ in keyed}).items()}
    changed: dict[numbering.Key, tuple[int, int]] = {}
    jumps: list[Jump] = []
    for key, each in keyed:
        before = last.get(key)
        found = follow(before, each)
        if found.late:
            # What is missing may be of this batch.
            numbering.open_gaps(session, jumps, now)
            jumps.clear()
            _fill(session, key, each, now)
            continue
        if found.missing is not None and before is not None:
            jumps.append(Jump(*key, *found.missing, before.at, each.at))
        last[key] = changed[key] = found.state
    if changed:
        numbering.keep(session, changed)
    numbering.open_gaps(session, jumps, now)


def _fill(session: Session, key: numbering.Key, said: Numbered, now: datetime) -> None:
    for gap in numbering.gaps_of(session, key):
        left = without(gap.missing, said.number, said.wraps_at)
        if left != gap.missing:
            numbering.found_again(session, gap, left, now)
            return


def note_skipped(session: Session, skipped: Sequence[Skipped], objects: Mapping[str, int], now: datetime) -> None:
    """A gap for each object behind an edge node whose messages jumped."""
    if not skipped:
        return
    ids = _ids(session, {reference for each in skipped for reference in each.references}, objects)
    jumps = [
        Jump(ids[reference], each.source, each.first, each.last, each.starts_at, each.ends_at)
        for each in skipped
        for reference in sorted(each.references)
        if reference in ids
    ]
    numbering.open_gaps(session, jumps, now)


def _ids(session: Session, references: set[str], objects: Mapping[str, int]) -> dict[str, int]:
    found = {reference: objects[reference] for reference in references if reference in objects}
    unknown = references - found.keys()
    return found | usage.object_ids(session, unknown) if unknown else found
