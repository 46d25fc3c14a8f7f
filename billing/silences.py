"""Looking for objects that are silent for longer than their metric expects (`expected_every`).

The law: a register is whole with its next reading; of anything else, what did not come stays open until it came or a
person accepts it. Looking again changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from billing.core.silences import holes
from storage import incomplete, silence
from storage.locks import claim, wait_for
from storage.types import to_micros


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a look came to: silences that began, that ended, and that turned out to be none."""

    begun: int = 0
    ended: int = 0
    cleared: int = 0


def look(session: Session, now: datetime, *, again: bool = False, wait: bool = False) -> Looked:
    """Open a gap for each object that is silent for too long, and end those of objects that were heard again.

    With `again`, those that ended are looked at too where records came since that lie in them. Where another
    transaction looks at this moment, it is left to it, or waited for with `wait`.
    """
    if not silence.any_expected(session):
        return Looked()
    if wait:
        wait_for(session, "silences")
    elif not claim(session, "silences"):
        return Looked()
    at = to_micros(now)
    ended, cleared = _end(session, at, again=again)
    cleared += incomplete.clear_covered(session, at)
    return Looked(begun=silence.open_silences(session, at), ended=ended, cleared=cleared)


def _end(session: Session, now: int, *, again: bool) -> tuple[int, int]:
    found = silence.heard_again(session, again=again)
    if not found:
        return 0, 0
    # A record may be ahead of our clock, as far as is plausible.
    until = max([now, *(it.ends_at for it in found if it.ends_at is not None)])
    times = silence.times_within(session, found, until)
    ended = cleared = 0
    for it in found:
        heard = times.get(it.id, [])
        if not heard:
            continue
        if it.kind == "cumulative":
            silence.end(session, it.id, ends_at=heard[0])
            silence.clear(session, it.id, by="register", at=now)
            cleared += 1
            continue
        left = list(holes(it.starts_at, heard, it.seconds))
        silence.end(session, it.id, ends_at=heard[0] if it.ends_at is None else it.ends_at)
        ended += it.ends_at is None
        if left and left[0] == (it.starts_at, heard[0] if it.ends_at is None else it.ends_at):
            left = left[1:]
        else:
            silence.clear(session, it.id, by="arrived", at=now)
            cleared += 1
        for starts_at, ends_at in left:
            silence.add(session, it, starts_at=starts_at, ends_at=ends_at, now=now)
    return ended, cleared
